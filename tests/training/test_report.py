"""The report: one page that needs nothing else, of runs finished or not."""

import csv
import dataclasses
import json
import os
from html.parser import HTMLParser

import numpy as np
import pytest
import yaml
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from twincortex.models.command_line import main
from twincortex.training.config import TrainingConfig
from twincortex.training.report.page import make_page
from twincortex.training.report.run_contents import read_run_contents
from twincortex.training.train import main as train

VOID = {"meta", "img", "br", "hr", "input", "link"}
SCORE = {"similarity": 0.75, "interval": [0.7, 0.8], "n_model": 20, "n_recorded": 30, "median_model": 1.5}
FLAGGED = SCORE | {"similarity": None, "interval": [None, None], "n_recorded": 3, "flag": "fewer than 15 units"}
NETWORK = {
    "mean_similarity": {"OSI": {"similarity": 0.5, "interval": [0.4, 0.6], "n_types": 9}},
    "table": {"L4 Exc": {"OSI": SCORE}, "L4 VIP": {"OSI": FLAGGED}},
    "fano": {"evoked": {"bin_ms": [1.0], "mean_absolute_error": 0.125}},
    "preferred_direction": {"L4_Exc": {"n_cells": 4, "direction_median_deg": 11.0}},
}
EVALUATION = {
    "engine": "torch",
    "networks": {"untrained": NETWORK, "trained": NETWORK},
    "weights": {"mean_similarity": 0.9375, "n_pairs": 7, "projections": {"v1_to_v1": {"sign_flipped": 0}}},
}
HELD_OUT = {
    "engines": ["torch", "brian-cpp"],
    "mismatched": 0,
    "rates_Hz": {"before": {"evoked": {"L4_Exc": 1.25}}, "after": {"evoked": {"L4_Exc": 3.75}}},
}


class Page(HTMLParser):
    """What a page is made of; complains where a tag is not closed or something outside is asked for."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.anchors, self.unnamed = [], [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        if tag not in VOID:
            self.open.append(tag)
        self.look_at(tag, dict(attributes))

    def handle_startendtag(self, tag, attributes):
        self.look_at(tag, dict(attributes))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def look_at(self, tag, attributes):
        assert tag not in ("script", "link", "iframe", "object")
        self.ids += [attributes["id"]] if "id" in attributes else []
        for name in ("src", "href", "xlink:href", "srcset", "data", "action"):
            address = attributes.get(name, "#")
            assert address.startswith(("#", "data:image/png;base64,")), address
            self.anchors += [address[1:]] if address.startswith("#") and len(address) > 1 else []
        if tag == "img" or attributes.get("role") == "img":
            assert attributes.get("alt") or attributes.get("aria-label")


def check(text):
    page = Page(text)
    assert len(page.ids) == len(set(page.ids))
    assert set(page.anchors) <= set(page.ids)
    assert "url(http" not in text
    assert "@import" not in text
    assert len(text.encode()) < 10_000_000
    return text


def write_run(folder, n_steps, **changes):
    folder.mkdir(parents=True)
    config = dataclasses.asdict(TrainingConfig(steps=4)) | changes
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    rows = [
        {"step": step, "loss": 9 / step, "evoked/rate": 4 / step, "spontaneous/rate": 3 / step, "evoked/rate_Hz": 2.0,
         "weights/weight_distribution": 2 / step, "gradient_norm": 0.1, "learning_rate": 0.02, "clipped": 0,
         "seconds": 2.5, "seconds_input": 0.25}
        for step in range(1, n_steps + 1)
    ]  # fmt: skip
    write_table(folder / "metrics.csv", rows)
    return folder


def write_table(path, rows):
    if rows:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


def write_finished_run(folder, **changes):
    write_run(folder, 4, **changes)
    for name in ("weights", "figures", "checkpoints/step_000004", "evaluation/figures"):
        (folder / name).mkdir(parents=True)
    write_table(folder / "validation.csv", [{"step": 2, "OSI": 0.5, "fano_error": 0.25}, {"step": 4, "OSI": 0.625}])
    (folder / "held_out.json").write_text(json.dumps(HELD_OUT))
    (folder / "evaluation/evaluation.json").write_text(json.dumps(EVALUATION))
    (folder / "environment.json").write_text(json.dumps({"python": "3.99", "circuit": {"neurons": 12345}}))
    caption = PngInfo()
    caption.add_text("Description", "Rasters <before> & after")
    Image.new("RGB", (40, 30)).save(folder / "figures/training.png", pnginfo=caption)
    Image.new("RGB", (40, 30)).save(folder / "evaluation/figures/tuning_curves.png")
    return folder


def page_of(folder):
    return check(make_page(read_run_contents(folder)))


def test_a_finished_run_is_shown_whole(tmp_path):
    text = page_of(write_finished_run(tmp_path / "run"))
    assert 'class="state finished"' in text
    for shown in ("12,345", "9 → 2.25", "0.750 (0.70 to 0.80)", "fewer than 15 units", "3.99", "0.9375"):
        assert shown in text, shown
    for section in ("learning", "validation", "evaluation", "figures", "engines", "config", "environment", "next"):
        assert f'id="{section}"' in text
    assert "Not here yet" not in text
    assert text.count('<tr class="muted">') == 1


@pytest.mark.parametrize("n_steps", [0, 1, 3])
def test_an_unfinished_run_says_what_is_missing_and_what_makes_it(tmp_path, n_steps):
    folder = write_run(tmp_path / "my run", n_steps)
    text = page_of(folder)
    assert f"{n_steps} of 4" in text
    assert f"python training/train.py --resume &#39;{folder}&#39;" in text
    assert f"twincortex evaluate &#39;{folder}&#39;" in text


def test_a_run_that_diverged_says_where_until_it_comes_past_that_step(tmp_path):
    folder = write_run(tmp_path / "run", 2)
    (folder / "failure").mkdir()
    facts = {"error": "loss is not finite", "step": 3, "first_bad_neuron": {"node_id": 4711}}
    (folder / "failure/failure.json").write_text(json.dumps(facts))
    text = page_of(folder)
    assert 'class="state diverged"' in text
    assert "4711" in text
    assert "--out NEW_RUN --set optimization.learning_rate=0.005" in text
    write_table(folder / "metrics.csv", [{"step": step, "loss": 1.0, "seconds": 1.0} for step in (1, 2, 3)])
    assert 'class="state unfinished"' in page_of(folder)


def test_a_run_that_stopped_by_itself_is_told_from_one_that_was_continued(tmp_path):
    folder = write_run(tmp_path / "run", 3)
    (folder / "weights").mkdir()
    os.utime(folder / "metrics.csv", (1000, 1000))
    os.utime(folder / "weights", (2000, 2000))
    assert read_run_contents(folder).state == "ended early"
    os.utime(folder / "metrics.csv", (3000, 3000))
    assert read_run_contents(folder).state == "unfinished"


def test_captions_come_from_the_figures(tmp_path):
    text = page_of(write_finished_run(tmp_path / "run"))
    assert 'alt="Rasters &lt;before&gt; &amp; after"' in text
    assert "<figcaption>tuning curves</figcaption>" in text


def test_what_differs_from_the_defaults_is_marked(tmp_path):
    text = page_of(write_run(tmp_path / "run", 1, seed=7, threads=1, wheels=4))
    assert '<mark>seed: 7</mark>  <span class="note"># default: 3000</span>' in text
    assert "threads: 1" in text
    assert "<mark>threads" not in text
    assert text.count("<mark>") == 3  # steps too
    assert '<mark>wheels: 4</mark>  <span class="note"># unknown to this version</span>' in text


def test_nothing_in_a_run_becomes_markup(tmp_path):
    evil = "<script>alert('&')</script>"
    folder = write_finished_run(tmp_path / "<img src=x>", engine=evil)
    (folder / "environment.json").write_text(json.dumps({evil: evil}))
    (folder / "held_out.json").write_text(json.dumps({"rates_Hz": {evil: {evil: {evil: 1.0}}}}))
    (folder / "evaluation/evaluation.json").write_text(json.dumps({"engine": evil, "networks": {evil: NETWORK}}))
    write_table(folder / "validation.csv", [{"step": 1, evil: 0.5}, {"step": 2, evil: 0.75}])
    assert page_of(folder).count("&lt;script&gt;") >= 9


def test_damaged_parts_are_named_and_the_rest_is_shown(tmp_path):
    folder = write_finished_run(tmp_path / "run")
    (folder / "held_out.json").write_text('{"engines": ')
    (folder / "figures/training.png").write_bytes((folder / "figures/training.png").read_bytes()[:60])
    with (folder / "metrics.csv").open("a") as file:
        file.write("5,1.8,0.")
    text = page_of(folder)
    assert "held_out.json: Expecting value" in text
    assert "training.png cannot be read" in text
    assert "4 of 4" in text


def test_values_that_are_not_finite_do_not_stop_a_report(tmp_path):
    folder = write_run(tmp_path / "run", 0)
    rows = [{"step": 1, "loss": 3.0, "gradient_norm": "nan", "seconds": 1.0},
            {"step": 2, "loss": "inf", "gradient_norm": "nan", "seconds": 1.0}]  # fmt: skip
    write_table(folder / "metrics.csv", rows)
    assert "3 → inf" in page_of(folder)


def test_large_figures_are_shrunk_until_the_page_is_below_ten_megabytes(tmp_path):
    folder = write_run(tmp_path / "run", 1)
    (folder / "figures").mkdir()
    noise = np.random.default_rng(1).integers(0, 256, (1500, 2200, 3), dtype=np.uint8)  # the worst to compress: 10 MB
    for name in "ab":
        Image.fromarray(noise).save(folder / f"figures/{name}.png", compress_level=1)
    assert page_of(folder).count("<img") == 2


def test_the_curves_of_a_long_run_stay_small(tmp_path):
    text = page_of(write_run(tmp_path / "run", 20_000))
    assert "20,000 of 4" in text
    assert len(text) < 2_000_000


def test_the_command_writes_beside_the_run_and_never_over_anything_else(tmp_path, capsys):
    folder = write_finished_run(tmp_path / "run")
    assert main(["report", str(folder)]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["report"], answer["state"], answer["missing"]) == (str(folder / "report.html"), "finished", {})
    check((folder / "report.html").read_text())
    assert main(["report", str(folder)]) == 2
    assert "pass --overwrite" in capsys.readouterr().err
    assert main(["report", str(folder), "--overwrite"]) == 0
    assert main(["report", str(folder), "--out", str(folder / "config.yaml"), "--overwrite"]) == 2
    assert "is no report" in capsys.readouterr().err


@pytest.mark.parametrize("content", [None, "just text", "a: [1"])
def test_a_folder_that_is_no_run_is_refused(tmp_path, capsys, content):
    if content:
        (tmp_path / "config.yaml").write_text(content)
    assert main(["report", str(tmp_path)]) == 2
    assert "config.yaml" in capsys.readouterr().err
    assert not (tmp_path / "report.html").exists()


@pytest.mark.slow
def test_a_real_run_is_evaluated_and_reported(tmp_path, capsys):
    folder = tmp_path / "run"
    short = {"circuit.size": "tiny", "protocol.batch": 1, "protocol.settle_ms": 40, "protocol.evoked_ms": 60}
    short |= {"protocol.spontaneous_ms": 60, "validation.engine": "torch", "validation.directions": [22.5]}
    short |= {"validation.gray_ms": 20, "validation.grating_ms": 40, "steps": 2}
    train([*(f"--{name}={value}" for name, value in short.items()), "--out", str(folder)])
    protocol = ["--directions=3", "--trials=1", "--settle-ms=20", "--gray-ms=300", "--grating-ms=300", "--bootstrap=9"]
    assert main(["evaluate", str(folder), *protocol]) == 0
    assert main(["report", str(folder)]) == 0
    answer = json.loads("{" + capsys.readouterr().out.rpartition("\n{")[2])
    assert (answer["state"], list(answer["missing"])) == ("finished", ["Similarity to the recordings on the way."])
    text = check((folder / "report.html").read_text())
    for shown in ("similarity, trained", "Per cell type: OSI", "sign flipped", "Fano curve", "max dv mV"):
        assert shown in text, shown
    assert text.count("<img") == len(read_run_contents(folder).figures) > 3
    assert list((folder / "tensorboard").iterdir())
