"""Ask before acting: ``peek`` forecasts what each power of a heater would lead to.

The learner sees the temperature and the power that is about to be switched on, and learns the next
temperature. Peeking leaves it as it is, so every power can be tried, and only the one that was
chosen is predicted and learnt.
"""

import numpy as np

from nbt_embed import Learner

STEPS, TARGET = 4000, 21.0
POWERS = np.linspace(0, 1, 11)
rng = np.random.default_rng(0)


class Room:
    """A room that takes the heat up late, by way of its heater, and loses it to the outside."""

    def __init__(self) -> None:
        self.temperature, self.heater = 15.0, 15.0

    def step(self, power: float, t: int) -> float:
        """Heat for one sample; returns the temperature."""
        outside = 5 + 5 * np.sin(t / 200)
        self.heater += 4.0 * power - 0.25 * (self.heater - self.temperature)
        self.temperature += 0.25 * (self.heater - self.temperature)
        self.temperature += 0.04 * (outside - self.temperature) + 0.02 * rng.normal()
        return self.temperature


def thermostat(room: Room) -> list[float]:
    """On below the target, off above it."""
    return [room.step(float(room.temperature < TARGET), t) for t in range(STEPS)]


def asking(room: Room) -> list[float]:
    """The power whose forecast is nearest to the target."""
    learner = Learner(n_in=2, n_out=1, anchor=(0,))
    seen = []
    for t in range(STEPS):
        if t < 200:
            power = rng.choice(POWERS)  # to learn what a power does, it has to vary
        else:
            futures = [learner.peek([room.temperature, one])[0] for one in POWERS]
            power = POWERS[np.argmin(np.abs(np.array(futures) - TARGET))]
        learner.predict([room.temperature, power])
        seen.append(room.step(power, t))
        learner.learn(seen[-1])
    return seen


for how in (thermostat, asking):
    late = np.array(how(Room())[1000:])
    error = np.sqrt(np.mean((late - TARGET) ** 2))
    print(f"{how.__name__}: {error:.2f} degrees from the target")
