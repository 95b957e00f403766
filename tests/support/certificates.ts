/**
 * An authority of a test, and what it signs: a server's certificate and a client's, by `openssl`.
 *
 * @module
 */

import { runOk } from "../../src/os/process.ts";

const OPENSSL_MS = 30_000;

/** PEM files of one authority: its own, and a server and a client that it signed. */
export interface Certificates {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  readonly clientCert: string;
  readonly clientKey: string;
}

/**
 * Makes them in a folder. The server's names 127.0.0.1 and is good for a client, too, as the pages of etcd
 * ask for: its JSON gateway calls its own gRPC port with it.
 */
export async function makeCertificates(folder: string): Promise<Certificates> {
  const ca = `${folder}/ca.pem`;
  await openssl(
    ...["req", "-x509", ...newKey(`${folder}/ca.key`), "-subj", "/CN=test", "-out", ca],
    ...["-addext", "basicConstraints=critical,CA:TRUE", "-days", "1"],
  );
  const server = await sign(folder, "server", [
    "extendedKeyUsage=serverAuth,clientAuth",
    "subjectAltName=IP:127.0.0.1",
  ]);
  const client = await sign(folder, "client", ["extendedKeyUsage=clientAuth"]);
  return { ca, ...server, clientCert: client.cert, clientKey: client.key };
}

async function sign(
  folder: string,
  name: string,
  extensions: readonly string[],
): Promise<{ readonly cert: string; readonly key: string }> {
  const [cert, key] = [`${folder}/${name}.pem`, `${folder}/${name}.key`];
  const [request, list] = [`${folder}/${name}.csr`, `${folder}/${name}.ext`];
  await Deno.writeTextFile(list, ["basicConstraints=CA:FALSE", ...extensions, ""].join("\n"));
  await openssl("req", ...newKey(key), "-subj", `/CN=${name}`, "-out", request);
  await openssl(
    ...["x509", "-req", "-in", request, "-CA", `${folder}/ca.pem`, "-CAkey", `${folder}/ca.key`],
    ...["-CAcreateserial", "-days", "1", "-extfile", list, "-out", cert],
  );
  return { cert, key };
}

function newKey(file: string): string[] {
  return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", file];
}

async function openssl(...args: string[]): Promise<void> {
  await runOk(["openssl", ...args], { deadlineMs: OPENSSL_MS });
}
