// Feeds a stream to the virtual board's module under node, as its page does, and prints JSON.
// node board.mjs MODULE UNITS AHEAD STREAM; the stream is float32, three channels a row.
import { readFileSync } from "node:fs";

const [path, units, ahead, stream] = process.argv.slice(2);
const module = new WebAssembly.Module(readFileSync(path));
const board = new WebAssembly.Instance(module, {}).exports;
const buffer = board.memory.buffer;
const pages = buffer.byteLength;
const [LEARNER, LINEAR, COPY] = [0, 1, 2];
const words = (at, count) => [...new Uint32Array(buffer, at, count)];
const hash = (which) => BigInt.asUintN(64, board.hash(which)).toString(16).padStart(16, "0");

const refused = {
  unstarted: [board.predict(LEARNER), board.learn(LEARNER), board.bytes(LEARNER), hash(LEARNER)],
  nobody: [board.start(9, 4, 1, 1), board.predict(9), board.learn(9), hash(9)],
  units: [board.start(LEARNER, 33, 20, 1), board.predict(LEARNER)],
  ahead: [board.start(LEARNER, 4, 0, 1), board.start(LEARNER, 32, 400, 1)],
};
const started = [LEARNER, LINEAR].map((which) => board.start(which, Number(units), Number(ahead), 1));
const file = readFileSync(stream);
const readings = new Float32Array(file.buffer, file.byteOffset, file.byteLength / 4);
const said = { refused, started, forecasts: [], bounds: [], scores: [], hashes: [], statuses: [] };
let copied;
for (let step = 0; step < readings.length / 3; step++) {
  new Float32Array(buffer, board.sample(), 3).set(readings.subarray(3 * step, 3 * step + 3));
  for (const which of [LEARNER, LINEAR]) {
    let learnt = 0;
    if (board.pending(which) === Number(ahead)) learnt = board.learn(which);
    else if (which === LEARNER) said.scores.push([]);
    if (which === LEARNER && said.scores.length === step) said.scores.push(words(board.scores(which), 3));
    said.statuses.push(learnt, board.predict(which));
  }
  said.forecasts.push(words(board.forecast(LEARNER), 3));
  said.bounds.push(words(board.bounds(LEARNER), 18));
  said.hashes.push(hash(LEARNER));
  if (step === 500) {
    board.copy();
    copied = [hash(COPY) === hash(LEARNER), board.predict(COPY) >= -8, board.bytes(COPY) === board.bytes(LEARNER)];
    while (board.pending(COPY) > 0) board.learn(COPY);
    copied.push(hash(COPY) !== hash(LEARNER), hash(LEARNER) === said.hashes[step]);
  }
}
let grew = true;
try {
  board.memory.grow(1);
} catch (error) {
  grew = !(error instanceof RangeError);
}
console.log(JSON.stringify({
  ...said,
  copied,
  linear: hash(LINEAR),
  bytes: [board.bytes(LEARNER), board.bytes(LINEAR)],
  counters: [...new BigUint64Array(buffer, board.counters(LEARNER), 11)].map(Number),
  imports: WebAssembly.Module.imports(module),
  pages: [pages, buffer.byteLength, board.memory.buffer === buffer],
  grew,
}));
