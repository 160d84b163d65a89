// Forecast an analogue input one sample ahead, and learn from every sample.
// Open the serial plotter: reading and forecast come together as the board learns.
#include <nbt.h>

// All the memory that learning needs, known at compile time.
static NBT_ARENA(arena, NBT_BYTES(1, 1, 8, 1, 0, NBT_CELL_GATED, NBT_EST_NOBACKTRACK,
                                  NBT_FILTER_KALMAN, NBT_LINK_GAUSSIAN));
static nbt_learner *learner;

void setup() {
  Serial.begin(115200);
  nbt_config config = nbt_config_default(1, 1, 8, NBT_LINK_GAUSSIAN);
  config.estimator = NBT_EST_NOBACKTRACK;
  if (nbt_init(arena, sizeof arena, &config, &learner) != NBT_OK) {
    Serial.println("nbt_init: see nbt_config_check");
  }
}

void loop() {
  static float forecast;
  float reading = analogRead(A0);
  Serial.print(reading);
  Serial.print("\t");
  Serial.println(forecast);
  if (nbt_pending(learner) > 0) {
    nbt_learn(learner, &reading);  // the label of the last forecast has arrived
  }
  nbt_predict(learner, &forecast, &reading);
  delay(20);
}
