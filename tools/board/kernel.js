// The compiled kernel (tools/board/board.c) behind methods with JavaScript's types.
"use strict";
const nbtKernel = (() => {
  const CHANNELS = 3;
  const LEVELS = 3; // prediction intervals of a channel: 50, 80 and 95 %
  const LEARNER = 0;
  const LINEAR = 1;
  const COPY = 2;
  const COUNTERS = [
    "predictions", "labels", "missing", "skipped", "clipped", "limited", "stuck", "reopened", "rolled_back", "moved",
    "restarted",
  ];

  // Arguments: bytes of the module. It asks for nothing of the page, and all of its memory is there
  // from the start.
  async function load(bytes) {
    const { instance } = await WebAssembly.instantiate(bytes, {});
    const call = instance.exports;
    const buffer = call.memory.buffer;
    const floats = (at, count) => new Float32Array(buffer, at, count);
    const sample = floats(call.sample(), CHANNELS);

    function text(status) {
      const bytesFrom = new Uint8Array(buffer, call.text(status));
      return new TextDecoder().decode(bytesFrom.subarray(0, bytesFrom.indexOf(0)));
    }

    function checked(status) {
      if (status < 0) throw new Error(`status ${status}: ${text(status)}`);
      return status;
    }

    return {
      memory: call.memory,
      text,
      start: (which, units, ahead, seed) => checked(call.start(which, units, ahead, seed)),
      take: (reading) => sample.set(reading),
      // What guards did comes back as a positive status.
      predict: (which) => checked(call.predict(which)),
      learn: (which) => checked(call.learn(which)),
      pending: (which) => call.pending(which),
      forecast: (which) => floats(call.forecast(which), CHANNELS),
      bounds: (which) => floats(call.bounds(which), CHANNELS * LEVELS * 2),
      scores: (which) => floats(call.scores(which), CHANNELS),
      alarms: (which) => call.alarms(which),
      bytes: (which) => call.bytes(which),
      threshold: call.threshold(),
      copy: () => call.copy(),
      hash: (which) => BigInt.asUintN(64, call.hash(which)).toString(16).padStart(16, "0"),
      counters(which) {
        const values = new BigUint64Array(buffer, call.counters(which), COUNTERS.length);
        return Object.fromEntries(COUNTERS.map((name, place) => [name, Number(values[place])]));
      },
    };
  }
  return { load, CHANNELS, LEVELS, LEARNER, LINEAR, COPY };
})();
