"""Predictions of activity: signs that were put in come out, and what is not clear predicts nothing."""

import numpy as np
import pandas as pd

from twincortex.analysis.activity_predictions import COLUMNS, contrast_predictions, silencing_predictions


def test_slopes_that_were_put_in_are_predicted_and_others_are_not():
    random = np.random.default_rng(0)
    cell_type = np.repeat(["L2/3_VIP", "L4_SST", "L4_Exc", "L6_SST"], [30, 30, 30, 14])
    slope = np.repeat([-1.0, 2.0, 0.0, 5.0], [30, 30, 30, 14]) + random.normal(0, 0.5, 104)
    table = contrast_predictions(slope, cell_type).set_index("prediction")
    assert table.verdict.tolist() == ["falls", "no prediction", "rises"]
    assert table.index[0].startswith("L2/3_VIP cells, rate against contrast: falls, -")
    assert (table.low < table.effect).all()
    assert (table.effect < table.high).all()


def test_the_clearest_change_in_either_direction_is_kept_for_each_cohort():
    rows = [
        ("PV", "L4_Exc", 100, 50.0, 40.0, 60.0, "rises"),
        ("PV", "L5_IT", 100, 80.0, 70.0, 90.0, "rises"),
        ("PV", "L4_SST", 10, 300.0, 200.0, 400.0, "rises"),
        ("PV", "L4_VIP", 40, -5.0, -8.0, -2.0, "falls"),
        ("SST", "L4_Exc", 100, 1.0, -1.0, 3.0, "none"),
    ]
    columns = ["cohort", "cell_type", "n", "percent_change", "low", "high", "effect"]
    table = silencing_predictions(pd.DataFrame(rows, columns=columns))
    assert table.prediction.str.split(":").str[0].tolist() == ["L5_IT cells without PV", "L4_VIP cells without PV"]
    assert tuple(table.columns) == COLUMNS
