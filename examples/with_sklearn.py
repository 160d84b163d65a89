"""Tomorrow's temperature from a table, through scikit-learn: pipeline, search and splits in time.

    pip install 'nbt-embed[sklearn]'

Rows are hours. The test rows of every split follow its training rows, and the estimator goes on
from the last of these.
"""

import numpy as np
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nbt_embed.sklearn import NbtRegressor

rng = np.random.default_rng(0)
hours = np.arange(3000)
sun = np.clip(np.sin(hours / 24 * 2 * np.pi), 0, None) * rng.uniform(0.3, 1, 3000)
heat = np.zeros(3000)  # of the walls, which no sensor reads
for hour in hours[1:]:
    heat[hour] = 0.9 * heat[hour - 1] + 2 * sun[hour]
room = 16 + 0.5 * heat + 0.1 * rng.normal(size=3000)
table = np.c_[sun, hours % 24]

split = TimeSeriesSplit(4)
search = GridSearchCV(
    make_pipeline(StandardScaler(), NbtRegressor()),
    {"nbtregressor__hidden": [0, 16], "nbtregressor__lags": [1, 4]},
    cv=split,
)
search.fit(table, room)
print("best:", search.best_params_, f"R2 {search.best_score_:.3f}")
ridge = make_pipeline(StandardScaler(), Ridge())
print(f"ridge regression: R2 {cross_val_score(ridge, table, room, cv=split).mean():.3f}")
print("next three hours:", search.predict(np.c_[[0.5, 0.6, 0.6], [9, 10, 11]]).round(1).tolist())
