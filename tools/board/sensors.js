// The simulated machine and its sensors, with what may go wrong with them.
"use strict";
const nbtSensors = (() => {
  const SWING = [1, 1, 2]; // usual swing of position, current and temperature; noise and faults are shares of it
  const INTERVAL = 0.5; // time between samples at 12 a revolution
  const TURN = 12;
  const LONGEST = INTERVAL / 8; // of a step of the integration
  const SPIKES = 0.05; // share of readings
  const LOST = 0.5;
  const OFFSET = 3; // swings

  // Uniform numbers in (0, 1) from a seed: xorshift32 (Marsaglia 2003). Pairs of them give normal ones by
  // Box and Muller's transform.
  class Generator {
    constructor(seed) {
      this.state = (Math.imul(seed, 2654435761) + 88675123) >>> 0 || 1;
      for (let i = 0; i < 8; i++) this.uniform();
    }

    uniform() {
      this.state ^= this.state << 13;
      this.state ^= this.state >>> 17;
      this.state ^= this.state << 5;
      return ((this.state >>> 0) - 0.5) / 4294967296;
    }

    normal() {
      return Math.sqrt(-2 * Math.log(this.uniform())) * Math.cos(2 * Math.PI * this.uniform());
    }
  }

  // The equations of nbt_embed/simulation.py: a mass on a hardening spring, driven by a motor whose
  // speed wanders, and its temperature in air that drifts.
  class Machine {
    constructor(random) {
      this.random = random;
      Object.assign(this, { x: 0.5, speed: 0, phase: 0, wander: 0, air: 20, temperature: 21 });
    }

    // Readings without noise one sample later. turn: samples a revolution; drift: how much faster than
    // usual the motor's speed and the air wander; loose: a part has come loose.
    next({ turn, drift, loose }) {
      const interval = (INTERVAL * TURN) / turn;
      const ratio = interval / INTERVAL;
      const [stiffness, damping] = loose ? [0.6, 0.1] : [1, 0.2];
      this.wander = 0.995 ** ratio * this.wander + 0.004 * drift * Math.sqrt(ratio) * this.random.normal();
      this.air += 0.01 * drift * Math.sqrt(ratio) * this.random.normal();
      const count = Math.ceil(interval / LONGEST);
      const dt = interval / count;
      let force = 0;
      for (let i = 0; i < count; i++) {
        this.phase += dt * 1.05 * (1 + this.wander);
        force = 1.2 * Math.cos(this.phase);
        this.speed += dt * (force - damping * this.speed - stiffness * (this.x + this.x ** 3));
        this.x += dt * this.speed;
        this.temperature += (dt * (8 * this.speed ** 2 - (this.temperature - this.air))) / 60;
      }
      return [this.x, Math.tanh(0.8 * force + 0.5 * this.speed), this.temperature];
    }
  }

  // What a fault makes of a value, in this order; before: what the sensor gave last.
  const FAULTS = {
    stuck: (value, { before }) => (Number.isNaN(before) ? value : before),
    offset: (value, { swing }) => value + OFFSET * swing,
    spikes(value, { swing, random }) {
      const size = (5 + 5 * random.uniform()) * swing * (random.uniform() < 0.5 ? -1 : 1);
      return random.uniform() < SPIKES ? value + size : value;
    },
    lost: (value, { random }) => (random.uniform() < LOST ? NaN : value),
  };

  // settings: { noise, turn, drift, loose, swapped, faults }, read at every sample; faults is a set of
  // names of FAULTS for every channel.
  class Sensors {
    constructor(seed, settings) {
      this.settings = settings;
      this.walk = new Generator(seed);
      this.noise = new Generator(seed + 1);
      this.trouble = new Generator(seed + 2);
      this.machine = new Machine(this.walk);
      this.before = [NaN, NaN, NaN]; // of every channel, as the sensor's element gave it
    }

    // One reading of every channel as float32, NaN where it is lost.
    next() {
      const { noise, swapped, faults } = this.settings;
      const clean = this.machine.next(this.settings);
      const readings = clean.map((value, channel) => {
        const swing = SWING[channel];
        const measured = value + noise * swing * this.noise.normal();
        const around = { before: this.before[channel], swing, random: this.trouble };
        this.before[channel] = faults[channel].has("stuck") ? FAULTS.stuck(measured, around) : measured;
        const present = Object.keys(FAULTS).filter((name) => faults[channel].has(name));
        return present.reduce((reading, name) => FAULTS[name](reading, around), measured);
      });
      if (swapped) [readings[0], readings[1]] = [readings[1], readings[0]];
      return Float32Array.from(readings);
    }
  }
  return { Sensors, FAULTS: Object.keys(FAULTS) };
})();
