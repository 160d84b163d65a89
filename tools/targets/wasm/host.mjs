// Runs a program of start.c under node: `node host.mjs program.wasm` prints what it printed.
import { readFileSync } from "node:fs";

const { instance } = await WebAssembly.instantiate(readFileSync(process.argv[2]), {});
const { memory, run, text, length } = instance.exports;
const status = run();
process.stdout.write(new TextDecoder().decode(new Uint8Array(memory.buffer, text(), length())));
process.exitCode = status;
