// The last steps of everything that is drawn: rings of numbers, by step and channel.
"use strict";
const nbtHistory = (() => {
  const KEPT = 2048; // steps
  const SCORED = 200; // readings that an error is the mean over
  const MODELS = ["learner", "last", "linear"];
  const TRACKS = ["reading", "low", "high", "score", ...MODELS, ...MODELS.map((name) => `${name} error`)];

  class History {
    constructor(channels) {
      this.channels = channels;
      this.length = 0; // steps so far; the newest is the one before
      this.tracks = Object.fromEntries(
        TRACKS.map((name) => [name, new Float64Array(KEPT * channels).fill(NaN)]),
      );
      this.alarms = []; // { step, channel }, oldest first, of the steps kept
    }

    place(step, channel) {
      return (step % KEPT) * this.channels + channel;
    }

    // NaN for what there is not: not yet, not any more, or lost.
    at(name, step, channel) {
      return step < 0 || step <= this.length - KEPT ? NaN : this.tracks[name][this.place(step, channel)];
    }

    put(name, step, channel, value) {
      this.tracks[name][this.place(step, channel)] = value;
    }

    // A step ends: its forecasts were put before, its reading and score now; errors are squared.
    close(reading, scores) {
      for (let channel = 0; channel < this.channels; channel++) {
        this.put("reading", this.length, channel, reading[channel]);
        this.put("score", this.length, channel, scores[channel]);
        for (const name of MODELS) {
          const miss = this.at(name, this.length, channel) - reading[channel];
          this.put(`${name} error`, this.length, channel, miss * miss);
        }
      }
      this.length++;
      while (this.alarms.length && this.alarms[0].step <= this.length - KEPT) this.alarms.shift();
    }

    // Root mean squared errors of a channel at every step from `from` on, each over the SCORED readings
    // up to it, and fewer while there are fewer.
    errors(model, channel, from) {
      const track = `${model} error`;
      const found = new Float64Array(Math.max(this.length - from, 0));
      let sum = 0;
      let count = 0;
      for (let step = Math.max(from - SCORED + 1, 0); step < this.length; step++) {
        const gone = this.at(track, step - SCORED, channel);
        if (step - SCORED >= Math.max(from - SCORED + 1, 0) && !Number.isNaN(gone)) {
          sum -= gone;
          count--;
        }
        const square = this.at(track, step, channel);
        if (!Number.isNaN(square)) {
          sum += square;
          count++;
        }
        if (step >= from) found[step - from] = count > 0 ? Math.sqrt(Math.max(sum, 0) / count) : NaN;
      }
      return found;
    }
  }
  return { History, KEPT, SCORED, MODELS };
})();
