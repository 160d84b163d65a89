// Forecast an analogue input one sample ahead, and learn from every sample.
// The serial plotter shows how the forecast approaches the reading as the board learns.
#include <nbt.h>

// All the memory that learning needs, known at compile time and aligned to 8 bytes.
static NBT_ARENA(arena, NBT_DEFAULT_BYTES(1, 1, 4, 0, NBT_LINK_GAUSSIAN));
static nbt_learner *learner;
static nbt_status status;

void setup() {
  Serial.begin(115200);
  nbt_config config = nbt_config_default(1, 1, 4, NBT_LINK_GAUSSIAN);
  const int32_t anchor[] = {0};  // the output predicts input 0
  status = nbt_init(arena, sizeof arena, &config, &learner);
  if (status >= 0) {
    status = nbt_anchor_set(learner, anchor);
  }
}

void loop() {
  if (status < 0) {  // an error; notices of guards are positive
    Serial.println(nbt_status_text(status));
    delay(1000);
    return;
  }
  static float forecast;
  float reading = analogRead(A0);
  Serial.print(reading);
  Serial.print("\t");
  Serial.println(forecast);
  if (nbt_pending(learner) > 0) {
    status = nbt_learn(learner, &reading);  // the label of the last forecast has arrived
  }
  if (status >= 0) {
    status = nbt_predict(learner, &forecast, &reading);
  }
  delay(20);
}
