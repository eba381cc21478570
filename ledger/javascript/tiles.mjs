// Paths and entry bundles of a published log (https://c2sp.org/tlog-tiles), without any dependency.

import { Refusal } from "./receipt.mjs";

const FORM = /^tile\/(entries|0|[1-9][0-9]?)\/((?:x[0-9]{3}\/){0,6}[0-9]{3})(?:\.p\/([1-9][0-9]{0,2}))?$/;
const LARGEST = (1n << 63n) - 1n;

/**
 * Read the path of a tile or an entry bundle; `level` is null for a bundle, `width` 256 for a full one.
 *
 * @param {string} path
 * @returns {{level: number | null, n: bigint, width: number}}
 * @throws {Refusal} PathMalformed
 */
export function parsePath(path) {
  const found = FORM.exec(path);
  if (found === null || path.endsWith("\n")) throw new Refusal("PathMalformed", "not a path of a tile or a bundle");
  const level = found[1] === "entries" ? null : Number(found[1]);
  const width = found[3] === undefined ? 256 : Number(found[3]);
  const n = BigInt(found[2].replaceAll(/[x/]/g, ""));
  if (level > 63) throw new Refusal("PathMalformed", "a level is at most 63");
  if (found[3] !== undefined && width > 255) throw new Refusal("PathMalformed", "a partial tile has at most 255 hashes");
  if (n > LARGEST || found[2].startsWith("x000/")) throw new Refusal("PathMalformed", "not a tile number");
  return { level, n, width };
}

/**
 * Read a bundle of exactly `count` entries, each after its length as a big-endian uint16.
 *
 * @param {Uint8Array} bundle
 * @param {number} count
 * @returns {Uint8Array[]}
 * @throws {Refusal} PublicationDamaged
 */
export function parseBundle(bundle, count) {
  const entries = [];
  let at = 0;
  while (at < bundle.length) {
    const end = at + 2 + bundle[at] * 256 + bundle[at + 1]; // NaN where the second byte is missing
    if (!(end <= bundle.length)) throw new Refusal("PublicationDamaged", "a bundle ends in the middle of an entry");
    entries.push(bundle.subarray(at + 2, end));
    at = end;
  }
  if (entries.length !== count) throw new Refusal("PublicationDamaged", `a bundle does not hold ${count} entries`);
  return entries;
}
