// verify.js against a real store's tiles, and against forged ones: `node --test e2e/node`.
// The ledger in e2e/data/ledger is what `cargo run -p store --example fixture -- e2e/data/ledger` writes.
import assert from "node:assert/strict";
import { createHash, webcrypto } from "node:crypto";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { parseCheckpoint, tilePath, verify } from "../../crates/web/assets/verify.js";

const folder = new URL("../data/ledger/", import.meta.url);
const key = (await readFile(new URL("key.pub", folder), "utf8")).trim();
const origin = "verdigris.example/test";
const entryOf = (index) => `{"index":${index},"name":"é"}`;
const leafOf = (entry) => createHash("sha256").update(Uint8Array.of(0)).update(entry).digest("base64");
const bytesOf = async (path) => new Uint8Array(await readFile(new URL(`ledger/${path}`, folder)));
const noted = async (path) => {
  const { size, root } = parseCheckpoint(await readFile(new URL(path, folder), "utf8"));
  return { size, root: Buffer.from(root).toString("base64") };
};

/** What `verify` says, as "what:outcome" in order. */
async function said(change = {}) {
  const index = change.index ?? 299;
  const remembered = [];
  const results = await verify({
    fetchBytes: bytesOf, key, origin, index, seen: null, subtle: webcrypto.subtle,
    leaf: leafOf(entryOf(index)), entry: entryOf(index), remember: (seen) => remembered.push(seen), ...change,
  });
  return { words: results.map(({ what, outcome }) => `${what}:${outcome}`).join(" "), remembered, results };
}

const check = async (change, expect) => assert.equal((await said(change)).words, expect);
const first = "signature:holds entry:holds inclusion:holds consistency:not-checked";

test("every kind of place in the tree is proved", async () => {
  for (const index of [0, 1, 255, 256, 511, 512, 598, 599]) await check({ index }, first);
});

test("the first time is remembered, and the next compared with it", async () => {
  const { remembered } = await said();
  assert.deepEqual(remembered, [await noted("ledger/checkpoint")]);
  const holds = first.replace("not-checked", "holds");
  await check({ seen: remembered[0] }, holds);
  await check({ seen: await noted("checkpoint-300") }, holds);
});

test("another entry or leaf than the ledger's is refused", async () => {
  await check({ entry: entryOf(1) }, "signature:holds entry:fails consistency:not-checked");
  await check({ leaf: leafOf("x") }, "signature:holds entry:fails consistency:not-checked");
  await check({ index: 600 }, "signature:holds inclusion:fails consistency:not-checked");
  await check({ index: Number.NaN }, "signature:holds inclusion:fails consistency:not-checked");
});

test("a forged entry that the page shows too is refused by the root", async () => {
  const forged = '{"index":299,"name":"f"}';
  const fetchBytes = async (path) => {
    const bytes = await bytesOf(path);
    if (!path.startsWith("tile/entries/001")) return bytes;
    const whole = Buffer.from(bytes);
    const at = whole.indexOf(entryOf(299)) - 2;
    const length = Buffer.from([0, forged.length]);
    return new Uint8Array(Buffer.concat([whole.subarray(0, at), length, Buffer.from(forged), whole.subarray(at + 2 + Buffer.byteLength(entryOf(299)))]));
  };
  await check({ fetchBytes, entry: forged, leaf: leafOf(forged) }, "signature:holds entry:holds inclusion:fails consistency:not-checked");
});

test("forged tiles are refused", async () => {
  const flipped = (wanted) => async (path) => {
    const bytes = await bytesOf(path);
    if (path === wanted) bytes[40] ^= 1;
    return bytes;
  };
  await check({ fetchBytes: flipped(tilePath(0, 2, 88)) }, "signature:holds entry:holds inclusion:fails consistency:not-checked");
  await check({ fetchBytes: flipped(tilePath(1, 0, 2)), index: 0 }, "signature:holds entry:holds inclusion:fails consistency:not-checked");
  const { words, remembered } = await said({ fetchBytes: flipped(tilePath(0, 2, 88)) });
  assert.match(words, /fails/);
  assert.deepEqual(remembered, [], "what does not hold is not remembered");
  const short = async (path) => (await bytesOf(path)).slice(0, path === "checkpoint" ? undefined : -1);
  await check({ fetchBytes: short }, "signature:holds read:fails");
});

test("a checkpoint of somebody else, or changed, is refused", async () => {
  const changed = (from, to) => async (path) => {
    const bytes = await bytesOf(path);
    return path === "checkpoint" ? new TextEncoder().encode(new TextDecoder().decode(bytes).replace(from, to)) : bytes;
  };
  await check({ fetchBytes: changed("\n600\n", "\n599\n") }, "signature:fails");
  await check({ origin: "other.example" }, "origin:fails");
  await check({ fetchBytes: changed(/\n\n.*/s, "\n\n") }, "signature:fails");
  await check({ fetchBytes: changed("\n600\n", "\n6e2\n") }, "read:fails");
  await check({ key: key.replace(/\+.{8}\+/, "+00000000+") }, "signature:fails");
});

test("a ledger that was set back or rewritten is told", async () => {
  const inclusion = first.replace("consistency:not-checked", "consistency:fails");
  await check({ seen: { size: 601, root: "AA==" } }, inclusion);
  for (const size of [1, 256, 300, 512, 600]) await check({ seen: { size, root: leafOf("other") } }, inclusion);
});

test("what a browser cannot do is said", async () => {
  await check({ subtle: undefined }, "all:not-checked");
  const subtle = {
    digest: (...given) => webcrypto.subtle.digest(...given),
    importKey: () => Promise.reject(new DOMException("no Ed25519", "NotSupportedError")),
  };
  const { words, remembered } = await said({ subtle });
  assert.equal(words, first.replace("signature:holds", "signature:not-checked"));
  assert.deepEqual(remembered, [], "without a signature nothing is remembered");
});
