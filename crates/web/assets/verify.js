// Checks the ledger in this browser: fetches checkpoint and tiles (C2SP tlog-tiles) and computes by itself whether a record is
// under the signed root, and whether the log still begins with what this browser saw last. It trusts nothing that it fetches but
// the key that the page shows. It cannot check itself: whoever serves it could serve another one. The page says so.

const WIDTH = 256;
const MAX_NOTE_BYTES = 65_536;
const MAX_BUNDLE_BYTES = WIDTH * (2 + 65_535);

const utf8 = (text) => new TextEncoder().encode(text);
const base64 = (bytes) => btoa(String.fromCharCode(...bytes));
const same = (a, b) => a.length === b.length && a.every((byte, at) => byte === b[at]);

function fromBase64(text) {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text)) throw new Error("it is not base64");
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

function joined(...parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** `tile/0/x001/234.p/5`: groups of three digits. */
export function tilePath(level, index, width) {
  const groups = [String(index % 1000).padStart(3, "0")];
  for (let rest = Math.floor(index / 1000); rest > 0; rest = Math.floor(rest / 1000)) {
    groups.unshift(`x${String(rest % 1000).padStart(3, "0")}`);
  }
  return `tile/${level}/${groups.join("/")}${width === WIDTH ? "" : `.p/${width}`}`;
}

/** A signed note (C2SP signed-note) that holds a checkpoint (C2SP tlog-checkpoint). */
export function parseCheckpoint(note) {
  const end = note.indexOf("\n\n");
  if (end < 0) throw new Error("the checkpoint is not a signed note");
  const text = note.slice(0, end + 1);
  const [origin, size, root] = text.split("\n");
  if (!origin || !/^(0|[1-9][0-9]{0,15})$/.test(size ?? "")) throw new Error("the checkpoint has no origin or size");
  if (!Number.isSafeInteger(Number(size))) throw new Error("the log is larger than a browser counts");
  const hash = fromBase64(root ?? "");
  if (hash.length !== 32) throw new Error("the checkpoint's root is not 32 bytes");
  const signatures = note.slice(end + 2).split("\n").filter((line) => line !== "").map((line) => {
    const [, name, signature] = /^\u2014 (\S+) (\S+)$/u.exec(line) ?? [];
    if (name === undefined) throw new Error("a line of the checkpoint's signatures is malformed");
    return { name, bytes: fromBase64(signature) };
  });
  return { text, origin, size: Number(size), root: hash, signatures };
}

/** A verifier key: name, id in hex, and base64 of 0x01 and the Ed25519 key. */
function parseKey(key) {
  const [, name, id, encoded] = /^([^+\s]+)\+([0-9a-f]{8})\+(\S+)$/.exec(key) ?? [];
  if (name === undefined) throw new Error("the key that the page shows is malformed");
  const bytes = fromBase64(encoded);
  if (bytes.length !== 33 || bytes[0] !== 1) throw new Error("the key that the page shows is no Ed25519 key");
  return { name, id, bytes };
}

/** "holds", "fails", or "unsupported" where this browser has no Ed25519. */
async function signed(checkpoint, key, subtle) {
  const { name, id, bytes } = parseKey(key);
  const digest = new Uint8Array(await subtle.digest("SHA-256", joined(utf8(`${name}\n`), bytes)));
  const keyId = digest.slice(0, 4);
  if ([...keyId].map((byte) => byte.toString(16).padStart(2, "0")).join("") !== id) return "fails";
  const ours = checkpoint.signatures.filter((it) => it.name === name && same(it.bytes.slice(0, 4), keyId));
  if (ours.length === 0) return "fails";
  let publicKey;
  try {
    publicKey = await subtle.importKey("raw", bytes.slice(1), "Ed25519", false, ["verify"]);
  } catch {
    return "unsupported";
  }
  for (const { bytes: signature } of ours) {
    if (!(await subtle.verify("Ed25519", publicKey, signature.slice(4), utf8(checkpoint.text)))) return "fails";
  }
  return "holds";
}

/** A tree (RFC 6962, section 2.1) of which the hashes come from tiles. */
class Tree {
  constructor(size, fetchBytes, subtle) {
    Object.assign(this, { size, fetchBytes, subtle, tiles: new Map() });
  }

  async sha256(...parts) {
    return new Uint8Array(await this.subtle.digest("SHA-256", joined(...parts)));
  }

  leaf(entry) {
    return this.sha256(Uint8Array.of(0), entry);
  }

  node(left, right) {
    return this.sha256(Uint8Array.of(1), left, right);
  }

  /** The hash of the full subtree of 2^height leaves with this index. */
  async full(height, index) {
    if (height % 8 !== 0) return this.node(await this.full(height - 1, 2 * index), await this.full(height - 1, 2 * index + 1));
    const level = height / 8;
    const tile = Math.floor(index / WIDTH);
    const width = Math.min(WIDTH, Math.floor(this.size / WIDTH ** level) - tile * WIDTH);
    const path = tilePath(level, tile, width);
    if (!this.tiles.has(path)) this.tiles.set(path, await this.fetchBytes(path, width * 32));
    const bytes = this.tiles.get(path);
    if (bytes.length !== width * 32) throw new Error(`${path} has another length than it should`);
    const at = (index % WIDTH) * 32;
    return bytes.slice(at, at + 32);
  }

  /** The hash of the leaves from `from` to `until`, of which one may be put in the place of what the tiles say. */
  async root(from, until, own) {
    const count = until - from;
    if (own && count === 1 && own.index === from) return own.leaf;
    const holds = own && own.index >= from && own.index < until;
    const height = Math.round(Math.log2(count));
    if (!holds && 2 ** height === count) return this.full(height, from / count);
    const middle = from + split(count);
    return this.node(await this.root(from, middle, own), await this.root(middle, until, own));
  }

  /** The root of the first `old` leaves and that of all, out of the same hashes: so that the one binds the other. */
  async both(from, until, old) {
    if (old >= until || old <= from) {
      const hash = await this.root(from, until);
      return { now: hash, before: old >= until ? hash : null };
    }
    const middle = from + split(until - from);
    const [left, right] = [await this.both(from, middle, old), await this.both(middle, until, old)];
    const before = right.before === null ? left.before : await this.node(left.before, right.before);
    return { now: await this.node(left.now, right.now), before };
  }
}

/** The largest power of two below a number. */
function split(count) {
  let half = 1;
  while (half * 2 < count) half *= 2;
  return half;
}

function entryOf(bundle, at, width) {
  let from = 0;
  let found;
  for (let entry = 0; entry < width; entry += 1) {
    if (from + 2 > bundle.length) throw new Error("the bundle of entries ends too early");
    const length = bundle[from] * 256 + bundle[from + 1];
    if (from + 2 + length > bundle.length) throw new Error("the bundle of entries ends too early");
    if (entry === at) found = bundle.slice(from + 2, from + 2 + length);
    from += 2 + length;
  }
  if (from !== bundle.length) throw new Error("the bundle of entries is too long");
  return found;
}

/**
 * Everything that can be checked of one record. `fetchBytes(path, most)` gives a file's bytes; `seen` is what `remember` was
 * given last, or null. Each result says what was checked, how it ended ("holds", "fails", "not-checked"), and that in words.
 */
export async function verify({ fetchBytes, key, origin, index, leaf, entry, seen, subtle, remember }) {
  const results = [];
  const say = (what, outcome, words) => {
    results.push({ what, outcome, words });
    return outcome === "holds";
  };
  if (!subtle) {
    say("all", "not-checked", "This browser computes no hashes here: it does so on HTTPS or localhost alone. Nothing was checked.");
    return results;
  }
  try {
    const checkpoint = parseCheckpoint(new TextDecoder("utf-8", { fatal: true }).decode(await fetchBytes("checkpoint", MAX_NOTE_BYTES)));
    if (checkpoint.origin !== origin) {
      say("origin", "fails", `The checkpoint is of ${checkpoint.origin}, and the page shows ${origin}.`);
      return results;
    }
    const signature = await signed(checkpoint, key, subtle);
    if (signature === "unsupported") {
      say("signature", "not-checked", "This browser has no Ed25519: whether the key signed the checkpoint was not checked.");
    } else if (!say("signature", signature, signature === "holds"
      ? `The key shown signed the checkpoint over ${checkpoint.size} entries. Whose key that is was not checked: compare it with one that you have from elsewhere.`
      : "The key shown did not sign the checkpoint.")) {
      return results;
    }
    const tree = new Tree(checkpoint.size, fetchBytes, subtle);
    let good = await checkInclusion(tree, checkpoint, { fetchBytes, index, leaf, entry }, say);
    good = (await checkConsistency(tree, checkpoint, seen, say)) && good;
    if (good && signature === "holds") remember?.({ size: checkpoint.size, root: base64(checkpoint.root) });
  } catch (error) {
    say("read", "fails", `It could not be checked to the end: ${error.message}.`);
  }
  return results;
}

async function checkInclusion(tree, checkpoint, { fetchBytes, index, leaf, entry }, say) {
  if (!Number.isSafeInteger(index) || index < 0 || index >= checkpoint.size) {
    return say("inclusion", "fails", `The checkpoint covers ${checkpoint.size} entries, and so no entry ${index}.`);
  }
  const at = Math.floor(index / WIDTH);
  const width = Math.min(WIDTH, checkpoint.size - at * WIDTH);
  const path = tilePath("entries", at, width);
  const bytes = entryOf(await fetchBytes(path, MAX_BUNDLE_BYTES), index % WIDTH, width);
  const computed = await tree.leaf(bytes);
  if (!same(bytes, utf8(entry)) || base64(computed) !== leaf) {
    return say("entry", "fails", "The entry in the ledger is not the one that the page shows.");
  }
  say("entry", "holds", "The entry that the page shows is, byte for byte, the one in the ledger, and has the leaf hash shown.");
  const root = await tree.root(0, checkpoint.size, { index, leaf: computed });
  return same(root, checkpoint.root)
    ? say("inclusion", "holds", `From the leaf and the tiles, this browser computed the root that the checkpoint has: entry ${index} is in the ledger.`)
    : say("inclusion", "fails", "From the leaf and the tiles follows another root than the checkpoint has: the entry, a tile or the checkpoint was altered.");
}

async function checkConsistency(tree, checkpoint, seen, say) {
  if (!seen) {
    say("consistency", "not-checked", "This browser sees this ledger for the first time: there is nothing to compare it with. It remembers this checkpoint for the next time.");
    return true;
  }
  if (seen.size > checkpoint.size) {
    return say("consistency", "fails", `This browser saw ${seen.size} entries, and now there are ${checkpoint.size}: the ledger was set back.`);
  }
  if (seen.size === 0) {
    return say("consistency", "holds", "What this browser saw last was empty; every ledger begins with that.");
  }
  const { now, before } = await tree.both(0, checkpoint.size, seen.size);
  if (!same(now, checkpoint.root)) {
    return say("consistency", "fails", "The tiles do not lead to the checkpoint's root: one of them was altered.");
  }
  return base64(before) === seen.root
    ? say("consistency", "holds", `The ledger still begins with the ${seen.size} entries that this browser saw last.`)
    : say("consistency", "fails", `The first ${seen.size} entries are not those that this browser saw last: the ledger was rewritten.`);
}

/** At most so many bytes, so that a server cannot fill the memory. */
async function fetchBytes(path, most) {
  const response = await fetch(`/ledger/tiles/${path}`, { credentials: "same-origin" });
  if (!response.ok) throw new Error(`${path}: the server answered ${response.status}`);
  const reader = response.body.getReader();
  const parts = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return joined(...parts);
    length += value.length;
    if (length > most) {
      await reader.cancel();
      throw new Error(`${path} is longer than it may be`);
    }
    parts.push(value);
  }
}

const SIGNS = { holds: "✓ Checked: ", fails: "✗ Does not hold: ", "not-checked": "– Not checked: " };

function recall(name) {
  try {
    const seen = JSON.parse(localStorage.getItem(name));
    return Number.isSafeInteger(seen?.size) && typeof seen.root === "string" ? seen : null;
  } catch {
    return null;
  }
}

async function run(section, list) {
  const { index, leaf, origin, key } = section.dataset;
  const name = `verdigris-ledger:${origin}`;
  const results = await verify({
    fetchBytes, key, origin, leaf,
    index: Number(index),
    entry: document.getElementById("entry").textContent,
    seen: recall(name),
    subtle: globalThis.crypto?.subtle,
    remember: (seen) => {
      try {
        localStorage.setItem(name, JSON.stringify(seen));
      } catch { /* A browser that keeps nothing checks no consistency the next time, and says so. */ }
    },
  });
  list.replaceChildren(...results.map(({ outcome, words }) => {
    const item = document.createElement("li");
    item.className = outcome;
    item.textContent = SIGNS[outcome] + words;
    return item;
  }));
  section.dataset.outcome = results.some((it) => it.outcome === "fails") ? "fails" : "done";
}

const section = globalThis.document?.getElementById("verify");
if (section) {
  const button = document.getElementById("verify-run");
  button.hidden = false;
  button.addEventListener("click", async () => {
    button.disabled = true;
    await run(section, document.getElementById("verify-results"));
    button.disabled = false;
  });
}
