// Fails if the page became too large to be first seen quickly. What is loaded on demand (the
// layout of graphs) has no such limit.
import { readdirSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const MOST = 150_000;
const folder = new URL("../../server/hooke_server/web/assets/", import.meta.url);
const first = readdirSync(folder).filter((name) => name.startsWith("index-"));
const size = first.reduce(
  (sum, name) => sum + gzipSync(readFileSync(new URL(name, folder))).length,
  0,
);

process.stdout.write(`the page is ${(size / 1000).toFixed(0)} kB gzipped, of ${MOST / 1000}\n`);
if (first.length === 0 || size > MOST) process.exit(1);
