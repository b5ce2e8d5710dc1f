"use strict";
// The page's data: maps, their weights, and what is shown of them (a View). No drawing here.

const report = JSON.parse(document.getElementById("data").textContent);
const HEADS_KEPT = 4e6;  // decoded weights of one map that stay in memory; above, heads are decoded each time
const SLOW = 1e6;        // weights above which the work is cut into pieces, so that the page stays alive

function bytesOf(base64) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
  const text = atob(base64), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; ++i) bytes[i] = text.charCodeAt(i);
  return bytes;
}

// One recorded map. `id` is "example-map".
class AttentionMap {
  constructor(description, id) {
    Object.assign(this, description);
    this.id = id;
    this.cells = this.rows.length * this.columns.length;
    this.kept = new Map();
  }
  shown(axis, i) { return this[axis + "_shown"][i] ?? this[axis][i]; }
  loaded() { return document.readyState !== "loading" || document.getElementById(`w-${this.id}-${this.heads - 1}`)?.nextSibling; }

  // The weights of one head, (rows, columns).
  head(h) {
    if (this.kept.has(h)) return this.kept.get(h);
    const bytes = bytesOf(document.getElementById(`w-${this.id}-${h}`).textContent);
    const rows = this.rows.length, columns = this.columns.length;
    let weights;
    if (report.packing === "float32") {
      weights = new Float32Array(bytes.buffer, bytes.byteOffset, this.cells);
    } else {
      // weight = scale of the row * (q / 255)^2; see attend/report/pack.h
      const scales = new Float32Array(bytes.buffer, bytes.byteOffset, rows);
      const squares = Float64Array.from({length: 256}, (_, q) => q * q / 65025);
      weights = new Float32Array(this.cells);
      for (let r = 0, i = 0, q = 4 * rows; r < rows; ++r) {
        const scale = scales[r];
        for (let c = 0; c < columns; ++c) weights[i++] = scale * squares[bytes[q++]];
      }
    }
    if (this.cells * this.heads <= HEADS_KEPT) this.kept.set(h, weights);
    return weights;
  }
  forget() { this.kept.clear(); }
}

const examples = report.examples.map((example, e) => ({
  ...example, maps: example.maps.map((map, m) => new AttentionMap(map, `${e}-${m}`)),
}));

// Combines the heads of `map` as `choice` says ("mean", "max" or a number). A generator: each step decodes one head, the last value is
// the result.
function* combineHeads(map, choice) {
  if (map.heads === 1 || typeof choice === "number") {
    yield map.head(map.heads === 1 ? 0 : choice);
    return;
  }
  const out = choice === "mean" && map.cells * map.heads <= HEADS_KEPT ? new Float64Array(map.cells) : new Float32Array(map.cells);
  for (let h = 0; h < map.heads; ++h) {
    const head = map.head(h);
    if (choice === "max") {
      for (let i = 0; i < out.length; ++i) if (head[i] > out[i]) out[i] = head[i];
    } else {
      const share = 1 / map.heads;
      for (let i = 0; i < out.length; ++i) out[i] += share * head[i];
    }
    if (h + 1 < map.heads) yield null;
  }
  yield out;
}

function headName(map, choice) {
  if (map.heads === 1) return "";
  return choice === "mean" ? `mean of ${map.heads} heads` : choice === "max" ? `largest of ${map.heads} heads` : `head ${choice + 1} of ${map.heads}`;
}

// Columns that often soak up attention without meaning: sentence marks, and punctuation that ends the sentence.
const MARKS = new Set(["<s>", "</s>", "<pad>", "[CLS]", "[SEP]", "[PAD]", "<bos>", "<eos>", "<|endoftext|>"]);
function sinkColumns(map) {
  const sinks = new Set();
  map.columns.forEach((token, c) => { if (MARKS.has(token)) sinks.add(c); });
  for (let c = map.columns.length - 1; c >= 0; --c) {
    if (sinks.has(c)) continue;
    if (/^[\u2581\u0120\s]*\p{P}+$/u.test(map.columns[c])) sinks.add(c);
    break;
  }
  return sinks;
}

// What is shown of a map: the combined weights, without the hidden columns, rows rescaled where asked.
class View {
  constructor(map, weights, choice, sinks) {
    this.map = map;
    this.choice = choice;
    this.sinks = sinks;
    this.weights = weights;
    this.hidden = sinks === "show" ? new Set() : sinkColumns(map);
    this.columns = [...map.columns.keys()].filter(c => !this.hidden.has(c));  // shown position -> column of the map
    this.count = {rows: map.rows.length, columns: this.columns.length};
    this.factor = new Float64Array(this.count.rows).fill(1);
    this.largest = new Float64Array(this.count.rows);
    for (let r = 0; r < this.count.rows; ++r) {
      let sum = 0;
      for (const c of this.columns) {
        const w = weights[r * map.columns.length + c];
        sum += w;
        if (w > this.largest[r]) this.largest[r] = w;
      }
      if (sinks === "renormalise" && sum > 0) this.factor[r] = 1 / sum;
      this.largest[r] *= this.factor[r];
    }
  }
  at(r, c) { return this.factor[r] * this.weights[r * this.map.columns.length + this.columns[c]]; }
  rowToken(r) { return this.map.shown("rows", r); }
  columnToken(c) { return this.map.shown("columns", this.columns[c]); }
  row(r) { return Float64Array.from(this.columns, (_, c) => this.at(r, c)); }
  // In [0, 1]: where on the colour ramp the weight lies.
  share(r, c, scale) {
    const w = this.at(r, c);
    return scale === "row" ? (this.largest[r] > 0 ? w / this.largest[r] : 0) : Math.min(w, 1);
  }
  // What must be said on every picture of it; empty when the rows are the model's.
  notice() {
    if (this.hidden.size === 0) return "";
    const names = [...this.hidden].map(c => `${this.map.shown("columns", c)} (${c + 1})`).join(", ");
    return this.sinks === "hide" ? `Hidden: ${names}. Rows no longer sum to 1.`
                                 : `Hidden: ${names}; rows renormalised. These rows are not the model's.`;
  }
  caption() {
    const heads = headName(this.map, this.choice);
    return heads ? `${this.map.path}, ${heads}` : this.map.path;
  }
}

// A weight in the digits that it has: rounded floats where the page carries floats, two significant digits where it carries bytes.
function weightText(w) {
  if (w === 0) return "0";
  if (report.packing === "float32") return w >= 0.001 ? w.toFixed(5) : w.toPrecision(3);
  return "≈ " + Number(w.toPrecision(2));
}
