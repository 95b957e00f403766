#!/bin/bash
# Makes dist/repo, a signed flat apt repository of the packages in dist/ (make deb), and the keyring that
# belongs to it. The same packages and the same key make the same files.
#   RELAIS_REPO_KEY=FILE   secret key, exported by gpg, without a passphrase; default: one that is made for
#                          the purpose and kept in dist/repo-key
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

repo=dist/repo
keyring=relais-archive-keyring.gpg
compgen -G 'dist/relais_*.deb' >/dev/null ||
  die "Cannot make a repository as there is no package in dist: make deb"

exec 9>dist/.repo.lock
flock -w 600 9 || die "Cannot make the repository as another run holds dist/.repo.lock for 10 minutes"

# gpg's agent wants a short path for its socket, and must end with us.
GNUPGHOME="$(mktemp -d /tmp/relais-gpg.XXXXXX)"
export GNUPGHOME
next="$(mktemp -d dist/.repo.XXXXXX)"
trap 'gpgconf --kill all >/dev/null 2>&1 || true; rm -rf "$GNUPGHOME" "$next"' EXIT

sign_key() {
  local key="${RELAIS_REPO_KEY:-dist/repo-key/secret.asc}"
  if [[ -n ${RELAIS_REPO_KEY:-} ]]; then
    [[ -r $key ]] || die "Cannot sign with RELAIS_REPO_KEY=$key as there is no such file"
  elif [[ ! -s $key ]]; then
    say "Making a key for the repository: dist/repo-key (for tests; a real one goes into RELAIS_REPO_KEY)"
    mkdir -p dist/repo-key
    chmod 700 dist/repo-key
    # Ed25519: the same content gives the same signature.
    gpg --batch --quiet --passphrase '' --quick-gen-key 'relais test repository' ed25519 sign never
    gpg --batch --quiet --armor --export-secret-keys >"$key"
    return
  fi
  gpg --batch --quiet --import "$key"
}

# When the newest package was made, for the date and the signature.
newest() {
  local deb
  for deb in dist/relais_*.deb; do
    dpkg-deb --fsys-tarfile "$deb" | tar -xO ./usr/share/doc/relais/changelog.gz | gzip -dc |
      sed -n 's/^ -- .*  //p;T;q' | date -f - +%s
  done | sort -n | tail -1
}

sign_key
at="$(newest)"
# A key cannot sign before it was made.
born="$(gpg --batch --with-colons --list-secret-keys | awk -F: '$1 == "sec" { print $6; exit }')"
((at > born)) || at="$born"

chmod 755 "$next"
cp --reflink=auto dist/relais_*.deb "$next/"
(
  cd "$next"
  apt-ftparchive packages . >Packages
  gzip -9nk Packages
  # In one go into a variable, as the new file must not list itself.
  release="$(apt-ftparchive -o APT::FTPArchive::Release::Origin=relais \
    -o APT::FTPArchive::Release::Label=relais -o APT::FTPArchive::Release::Suite=stable \
    -o APT::FTPArchive::Release::Architectures="amd64 arm64" \
    -o APT::FTPArchive::Release::Date="$(LC_ALL=C date -u -R -d "@$at" | sed 's/+0000/UTC/')" release .)"
  # apt-ftparchive 2.6 writes its own date, whatever it was told.
  sed "s/^Date: .*/Date: $(LC_ALL=C date -u -R -d "@$at" | sed 's/+0000/UTC/')/" <<<"$release" >Release
  gpg --batch --quiet --yes --faked-system-time "$at!" --clearsign --output InRelease Release
  gpg --batch --quiet --yes --faked-system-time "$at!" --armor --detach-sign --output Release.gpg Release
  gpg --batch --quiet --export >"$keyring"
)
rm -rf "$repo"
mv "$next" "$repo"
say "$repo: $(cd "$repo" && echo relais_*.deb)"
say "On a host: copy $repo/$keyring to /usr/share/keyrings, then in /etc/apt/sources.list.d/relais.list:"
say "  deb [signed-by=/usr/share/keyrings/$keyring] URL-OF-THIS-FOLDER ./"
