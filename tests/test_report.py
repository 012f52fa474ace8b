import io
import re
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from html.parser import HTMLParser
from importlib.metadata import version
from itertools import combinations
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import soundfile
from matplotlib.image import imread
from playwright.sync_api import sync_playwright

import ser_core
from ser_core.analysis import FocusRegion, Region, VoiceShare
from ser_core.analysis.emotions import COLOURS
from ser_core.audio.cutting import region_samples
from ser_core.commands import analyse, main
from ser_core.explanation.agreement import rank_correlation, top_overlap, with_consensus
from ser_core.explanation.focus_audio import ChangedSound, FocusScores
from ser_core.explanation.relevance import colour_limit
from ser_core.model.scores import NO_SPEECH, NOT_SURE
from ser_core.output import report
from ser_core.output import report_picture as drawing
from ser_core.output.report import report_html
from ser_core.output.report_picture import report_picture
from ser_core.pipeline import analyse_recording, focus_region_mask, usable_frames_of, with_focus
from ser_core.settings import AnalysisSettings, FocusSettings, LimeSettings, OcclusionSettings
from tests.running_app import launch, needs_browser
from tests.tiny_networks import EMOTIONS, TinyNetwork, classifier_of, fresh, noise_recording

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)> & {{ 7 * 7 }} 화남.wav"
NAMES = {"grad_cam": "Grad-CAM", "lime": "LIME", "occlusion": "Occlusion"}
QUICK = AnalysisSettings(
    explain=("occlusion", "grad_cam", "lime"),
    lime=LimeSettings(masks=40),
    occlusion=OcclusionSettings(stride_frames=16, stride_bands=8),
    focus_by="occlusion",
    focus=FocusSettings(threshold=0.0, smoothing_s=0.1),
    seed=3,
)


class Page(HTMLParser):
    """A page's elements as (tag, attributes, text) and its tables' rows; wrong nesting fails."""

    def __init__(self, html):
        super().__init__()
        self.html, self.elements, self.rows, self.open = html, [], [], []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.open.append((tag, dict(attrs), []))
        if tag == "tr":
            self.rows.append([])
        if tag in ("meta", "img", "source", "br"):
            self.handle_endtag(tag)

    def handle_data(self, data):
        for _, _, text in self.open:
            text.append(data)

    def handle_endtag(self, tag):
        opened, attrs, text = self.open.pop()
        assert opened == tag
        words = " ".join("".join(text).split())
        self.elements.append((tag, attrs, words))
        if tag in ("td", "th"):
            self.rows[-1].append(words)

    def all(self, tag):
        return [(attrs, text) for opened, attrs, text in self.elements if opened == tag]

    def text(self):
        return self.all("body")[0][1]

    def row(self, first):
        (found,) = [row for row in self.rows if row and row[0] == first]
        return found

    def sounds(self):
        return {attrs["aria-label"]: _decoded(attrs["src"], "audio/wav") for attrs, _ in self.all("audio")}

    def pictures(self):
        return [attrs["src"] for attrs, _ in self.all("img")] + [attrs["srcset"] for attrs, _ in self.all("source")]


def _decoded(uri, kind):
    head, data = uri.split(",", 1)
    assert head == f"data:{kind};base64"
    return b64decode(data, validate=True)


def pixels(png):
    return imread(io.BytesIO(png))


@pytest.fixture(scope="module")
def analysis():
    settings = replace(QUICK, emotion="sad", against="happy")
    found = analyse_recording(noise_recording(), classifier_of(fresh(TinyNetwork)), settings)
    assert len(found.focus) > 1
    return found


@pytest.fixture(scope="module")
def page(analysis):
    return Page(report_html(analysis))


@pytest.fixture
def page_of(monkeypatch):
    """A function from an analysis to its page, with a dot instead of the slow picture."""
    monkeypatch.setattr(report, "report_picture", lambda *_: b"dot")
    return lambda analysis: Page(report_html(analysis))


def with_maps(analysis, **changes):
    """Return the analysis with every explanation changed, and the profile and focus that follow."""
    maps = {method: replace(e, **changes) for method, e in analysis.explanations.items()}
    return with_focus(replace(analysis, explanations=maps), maps["occlusion"], QUICK)


# --- figures ---


def test_the_page_names_the_model_its_verdict_and_certainty(analysis, page, page_of):
    assert page.html.startswith("<!DOCTYPE html>")
    assert page.all("h1")[0][1] == analysis.recording.name
    assert page.all("strong")[0][1] == analysis.verdict == NO_SPEECH
    assert "Hardly any speech was detected" in page.text()
    best = max(analysis.scores.recording)
    angry = page_of(replace(analysis, verdict="angry"))
    assert angry.all("strong")[0] == ({"style": f"border-color: {COLOURS['angry']}"}, "angry")
    assert (
        f"Score {best:.2f} of 1, from {analysis.segments.selected.sum()} of {len(analysis.segments.selected)}"
        in angry.text()
    )
    name = EMOTIONS[int(analysis.scores.recording.argmax())]
    not_sure = page_of(replace(analysis, verdict=NOT_SURE))
    assert f"The best score is {name} with {best:.2f}" in not_sure.text()


def test_every_score_has_a_bar_of_its_length_in_the_emotions_colour(analysis, page):
    bars = [attrs["style"] for attrs, _ in page.all("span") if attrs.get("class") == "bar"]
    spans = [text for attrs, text in page.all("span") if attrs.get("class") in (None, "number")]
    scores = [float(score) for score in analysis.scores.recording]
    assert bars == [f"width: {100 * s:.1f}%; background: {COLOURS[e]}" for e, s in zip(EMOTIONS, scores, strict=True)]
    labels = [text for e, s in zip(EMOTIONS, scores, strict=True) for text in (e, f"{s:.2f}")]
    assert spans[-len(labels) :] == labels


def test_the_table_of_focus_regions_matches_the_analysis(analysis, page):
    for number, focus in enumerate(analysis.focus, start=1):
        where = [f"{focus.region.start_s:.2f}", f"{focus.region.end_s:.2f}"]
        worth = [f"{focus.strength:#.2g}".rstrip("."), f"{100 * focus.share:.1f} %"]
        assert page.row(str(number)) == [str(number), *where, *worth, ""]
    assert sum(row[0].isdigit() for row in page.rows) == len(analysis.focus)


def test_the_share_of_the_speech_is_that_of_the_regions_and_not_that_looked_for(analysis, page_of):
    times_s = analysis.spectrogram.frame_times_s
    starts, ends = np.array([(focus.region.start_s, focus.region.end_s) for focus in analysis.focus]).T
    inside = ((times_s[:, None] >= starts) & (times_s[:, None] < ends)).any(axis=1)
    speech = usable_frames_of(analysis, analysis.focus_by)
    looked_for = replace(analysis, focus_settings=replace(analysis.focus_settings, threshold=None, share=0.01))
    text = " ".join(page_of(looked_for).text().split())
    assert f"{100 * (inside & speech).sum() / speech.sum():.0f} % of the speech" in text


def test_agreement_is_listed_for_each_pair_of_maps(analysis, page):
    assert sum(" and " in row[0] for row in page.rows) == 3
    for one, other in combinations(analysis.explanations, 2):
        maps = [analysis.explanations[name].relevance for name in (one, other)]
        values = [map_[analysis.explanations[one].covered].ravel() for map_ in maps]
        figures = [f"{rank_correlation(*values) + 0.0:.2f}", f"{top_overlap(*values):.2f}"]
        assert page.row(f"{NAMES[one]} and {NAMES[other]}")[1:] == figures


def test_a_correlation_near_zero_has_no_sign_and_one_with_a_flat_map_has_no_value(analysis, page_of):
    maps = dict(analysis.explanations)
    one, other = np.random.default_rng(0).normal(size=(2, *maps["lime"].relevance.shape))
    assert -0.005 < rank_correlation(one.ravel(), other.ravel()) < 0
    for method, relevance in (("lime", one), ("occlusion", other), ("grad_cam", 0 * one)):
        maps[method] = replace(maps[method], relevance=relevance)
    page = page_of(replace(analysis, explanations=maps))
    assert page.row("Occlusion and LIME")[1] == "0.00"
    assert page.row("Occlusion and Grad-CAM")[1:] == ["–", "–"]


def test_the_provenance_is_complete(analysis, page):
    recording = analysis.recording
    assert page.row("Recording")[1] == f"2.00 s at 16000 HzSHA-256 {recording.sha256}"
    assert page.row("Model")[1] == f"smallSHA-256 {analysis.model_sha256}"
    assert page.row("Emotion explained")[1] == "sad, against happy"
    assert page.row("Stretch")[1] == "0.00 to 2.00 s"
    assert page.row("Segments")[1].startswith(
        f"{analysis.segments.selected.sum()} of {len(analysis.segments.selected)} "
    )
    assert page.row("Versions")[1] == " · ".join(
        (f"ser_core {ser_core.__version__}", f"torch {version('torch')}", f"numpy {np.__version__}")
    )
    for method, explanation in analysis.explanations.items():
        cell = page.row(NAMES[method])[1]
        for name, value in explanation.settings.items():
            assert name == "layer" or f"{name} {value} ·".replace("_", " ") in cell
        assert f"seed 3 · took {explanation.seconds:.2f} s" in cell
    assert "layer tiny" in page.row("Grad-CAM")[1]
    assert f"about {analysis.explanations['lime'].stability:.2f} with this one" in page.row("LIME")[1]


def test_limitations_and_warnings_are_on_the_page(analysis, page, page_of):
    assert "learnt from acted speech" in page.text()
    assert "warning" not in page.text().lower()
    warned = page_of(replace(analysis, warnings=("Very quiet.", "5 samples < 6.")))
    assert "2 warnings below" in warned.text()
    assert [text for _, text in warned.all("li")][-2:] == ["Very quiet.", "5 samples < 6."]
    assert ({"id": "warnings"}, "Warnings Very quiet. 5 samples < 6.") in warned.all("section")


# --- in another language ---


def in_marks(text, /, **values):
    return f"«{report.in_english(text, **values)}»"


def outside_marks(said):
    """Return the words outside the brackets that `in_marks` adds, which may contain others."""
    while (shorter := re.sub("«[^«»]*»", "", said)) != said:
        said = shorter
    return set(re.findall("[A-Za-z]{2,}", said))


def test_every_word_except_names_is_in_the_language_of_the_page(analysis, monkeypatch):
    monkeypatch.setattr(report, "report_picture", lambda *_: b"dot")
    several = [
        replace(analysis, warnings=("Very {quiet}.",), verdict="angry", voice=VoiceShare(3, 0.5, 0.4)),
        replace(analysis, verdict=NOT_SURE, focus=(), focus_settings=FocusSettings(share=0.3)),
        replace(analysis, explanations={}, profile=None, focus=(), focus_by=None),
    ]
    names = {analysis.recording.name, analysis.model_name, "SHA", "ser_core", ser_core.__version__, "torch", "numpy"}
    unsaid = {*names, version("torch"), analysis.recording.sha256, analysis.model_sha256}
    for one in several:
        page = Page(report_html(one, say=in_marks, language="xx"))
        assert page.all("html")[0][0] == {"lang": "xx"}
        shown = [page.text(), *(a[k] for _, a, _ in page.elements for k in ("alt", "aria-label") if k in a)]
        said = " ".join(shown)
        for name in sorted(unsaid, key=len, reverse=True):
            said = said.replace(name, "")
        assert not outside_marks(said)


def test_every_text_of_the_template_is_translated():
    body = (Path(report.__file__).parent / "report.html.jinja").read_text().partition("<body>")[2]
    labels = re.findall(r' (?:alt|aria-label)="(..)', body)
    assert set(labels) == {"{{"}
    assert set(re.findall("[A-Za-z]{2,}", re.sub(r"(?s){{.*?}}|{%.*?%}|<[^>]*>", "", body))) == {"SHA"}


def test_the_picture_falls_back_to_english_for_what_its_fonts_cannot_draw(analysis, monkeypatch):
    monkeypatch.setattr(drawing, "FONTS", drawing.FONTS[:1])
    said = []

    def say(text, /, **values):
        said.append(text)
        return "화남"

    shown = with_consensus(analysis.explanations)
    assert report_picture(analysis, shown, "light", say) == report_picture(analysis, shown, "light")
    assert {"Time (s)", "Log-mel spectrogram", "against", "Relevance"} < set(said)


def test_the_picture_is_in_korean_if_a_font_has_it(analysis, recwarn):
    if len(drawing._fonts()) == 1:
        pytest.skip("no font with Korean letters is installed")
    assert report_picture(analysis, {}, "light", lambda text, /, **_: "화남") != report_picture(analysis, {}, "light")
    assert not [said for said in recwarn if "Glyph" in str(said.message)]


# --- no external resources, no scripts ---


def test_the_report_fetches_nothing_and_runs_no_script(page):
    tags = {tag for tag, _, _ in page.elements}
    assert not tags & {"script", "link", "iframe", "object", "embed", "form", "base"}
    for _, attrs, _ in page.elements:
        assert not [name for name in attrs if name.startswith("on")]
        for name in ("src", "srcset", "href"):
            assert attrs.get(name, "#").startswith(("data:", "#"))
    own = page.html
    for uri in (*page.pictures(), *(attrs["src"] for attrs, _ in page.all("audio"))):
        own = own.replace(uri, "")
    for foreign in ("//", "url(", "@import", "javascript:", "http:", "https:"):
        assert foreign not in own


def test_hostile_names_are_plain_text_everywhere(analysis, page_of):
    maps = {
        method: replace(e, layer=HOSTILE, settings={HOSTILE: HOSTILE}) for method, e in analysis.explanations.items()
    }
    recording = replace(analysis.recording, name=HOSTILE)
    hostile = replace(analysis, recording=recording, model_name=HOSTILE, explanations=maps, warnings=(HOSTILE,))
    page = page_of(hostile)
    assert not page.all("script")
    assert len(page.all("img")) == 1
    assert page.all("h1")[0][1] == HOSTILE
    assert page.all("title")[0][1] == f"{HOSTILE} · Hear Why"
    assert page.row("Model")[1] == f"{HOSTILE}SHA-256 {analysis.model_sha256}"
    assert page.row("LIME")[1].startswith(f"layer {HOSTILE} · {HOSTILE.replace('_', ' ')} {HOSTILE} ·")
    assert page.all("li")[-1][1] == HOSTILE


def test_equal_analyses_give_equal_pages(analysis, page):
    again = analyse_recording(
        noise_recording(), classifier_of(fresh(TinyNetwork)), replace(QUICK, emotion="sad", against="happy")
    )
    took = {m: replace(e, seconds=analysis.explanations[m].seconds) for m, e in again.explanations.items()}
    assert report_html(replace(again, explanations=took)) == page.html


# --- sound ---


def test_each_region_and_the_whole_are_embedded_with_the_recordings_samples(analysis, page):
    sounds = page.sounds()
    labels = [f"Focus region {number}" for number in range(1, len(analysis.focus) + 1)]
    assert list(sounds) == [*labels, "The whole recording"]
    cuts = [region_samples(analysis.recording, focus.region, 0.005) for focus in analysis.focus]
    for label, expected in zip(sounds, [*cuts, analysis.recording.samples], strict=True):
        samples, rate = soundfile.read(io.BytesIO(sounds[label]), dtype="float32")
        assert rate == 16_000
        assert samples.shape == expected.shape
        np.testing.assert_allclose(samples, expected, atol=1 / 32_768)


@pytest.mark.parametrize(("seconds", "whole"), [(59.9, True), (60.0, False), (75.0, False)])
def test_the_sound_of_a_long_recording_is_left_out_but_not_its_regions(analysis, seconds, whole, page_of):
    recording = replace(analysis.recording, samples=np.resize(analysis.recording.samples, round(seconds * 16_000)))
    page = page_of(replace(analysis, recording=recording, explanations={}, profile=None, focus_by=None))
    assert ("The whole recording" in page.sounds()) == whole
    assert (f"It lasts {seconds:.2f} s and is left out" in page.text()) != whole


# --- more and fewer explanations ---


def test_without_explanations_the_report_has_a_spectrogram_and_no_evidence(analysis):
    page = Page(report_html(replace(analysis, explanations={}, profile=None, focus_by=None, focus=())))
    assert [text for _, text in page.all("h2")] == ["Spectrogram", "The whole recording", "Where this comes from"]
    assert "Nothing was explained." in page.text()
    assert [row[0] for row in page.rows] == ["Recording", "Model", "Segments", "Versions"]


def test_a_single_explanation_has_no_agreement_and_no_consensus(analysis, page_of):
    page = page_of(replace(analysis, explanations={"lime": analysis.explanations["lime"]}))
    assert "Consensus" not in page.html
    assert not [row for row in page.rows if " and " in row[0]]
    assert [text.split()[0] for _, text in page.all("li")] == ["LIME"]


def test_several_explanations_have_a_consensus_and_a_sentence_each(page):
    assert [text.split()[0] for _, text in page.all("li")] == ["Occlusion", "Grad-CAM", "LIME", "Consensus"]
    (picture,) = page.all("img")
    assert "Occlusion, Grad-CAM, LIME, Consensus; below, the relevance profile" in picture[0]["alt"]


def test_the_page_says_so_if_there_is_no_evidence_for_the_emotion(analysis, page_of):
    negative = with_maps(analysis, relevance=-np.abs(analysis.explanations["lime"].relevance))
    assert negative.focus == ()
    page = page_of(negative)
    assert "At no moment is there more evidence for sad" in page.text()
    assert list(page.sounds()) == ["The whole recording"]


def test_the_page_says_so_if_the_evidence_is_too_short_for_a_region(analysis, page_of):
    page = page_of(replace(analysis, focus=()))
    assert "No stretch speaks for sad for long enough" in page.text()


def test_without_covered_frames_there_is_nothing_to_compare(analysis):
    nothing = np.zeros_like(analysis.explanations["lime"].relevance)
    page = Page(report_html(with_maps(analysis, relevance=nothing, covered=np.zeros(len(nothing), bool))))
    assert "No frame was explained" in page.text()
    assert not [row for row in page.rows if " and " in row[0]]


# --- the picture ---


def test_the_page_holds_a_picture_for_each_theme(analysis, page):
    light, dark = (_decoded(uri, "image/png") for uri in page.pictures())
    shown = with_consensus(analysis.explanations)
    assert light == report_picture(analysis, shown, "light")
    assert dark == report_picture(analysis, shown, "dark") != light
    (attrs, _), *_ = page.all("source")
    assert attrs["media"] == "screen and (prefers-color-scheme: dark)"


def one_map(analysis, relevance, covered=None):
    """Return the pixels of spectrogram and one map."""
    explanation = replace(analysis.explanations["occlusion"], relevance=relevance)
    if covered is not None:
        explanation = replace(explanation, covered=covered)
    return pixels(report_picture(replace(analysis, profile=None, focus_by=None), {"occlusion": explanation}, "light"))


def test_evidence_for_is_red_evidence_against_is_blue_and_zero_has_no_colour(analysis):
    sign = np.ones_like(analysis.explanations["lime"].relevance)
    sign[len(sign) // 2 :] = -1
    turned, zero = one_map(analysis, -sign), one_map(analysis, 0 * sign)
    redder = one_map(analysis, sign) - turned
    columns = (redder[..., 0] - redder[..., 2]).sum(axis=0)
    changed = np.flatnonzero(columns)
    middle = changed.mean()
    assert (columns[changed[changed < middle - 5]] > 0).all()
    assert (columns[changed[changed > middle + 5]] < 0).all()
    inside = np.abs(redder).sum(axis=2) > 0
    np.testing.assert_allclose(zero[inside][:, 0], zero[inside][:, 2], atol=0.01)


def test_maps_are_drawn_alike_at_any_scale(analysis):
    relevance = analysis.explanations["lime"].relevance
    np.testing.assert_array_equal(one_map(analysis, relevance), one_map(analysis, 1024 * relevance))


@pytest.mark.slow
def test_pictures_made_in_parallel_equal_those_made_one_after_another(analysis):
    before = dict(matplotlib.rcParams)
    alone = [report_picture(analysis, {}, theme) for theme in ("light", "dark")]
    with ThreadPoolExecutor(4) as threads:
        at_once = list(threads.map(lambda theme: report_picture(analysis, {}, theme), ["light", "dark"] * 4))
    assert at_once == alone * 4
    assert dict(matplotlib.rcParams) == before


def test_numbers_along_the_axes_have_the_decimal_sign_of_the_language(analysis, monkeypatch):
    texts, saved = [], drawing.Figure.savefig

    def savefig(figure, *args, **settings):
        saved(figure, *args, **settings)
        lines = (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis))
        texts.append(" ".join(label.get_text() for line in lines for label in line.get_ticklabels()))

    monkeypatch.setattr(drawing.Figure, "savefig", savefig)

    def german(text, /, **values):
        return drawing.in_english(text, **values).replace(".", ",")

    for say in (drawing.in_english, german):
        report_picture(analysis, {}, "light", say)
    assert re.search(r"\d\.\d", texts[0])
    assert not re.search(r"\d\.\d", texts[1])
    assert texts[1] == texts[0].replace(".", ",")


def test_the_overviews_colours_are_those_of_the_explained_emotion(analysis):
    explanation = analysis.explanations["lime"]
    covered = np.arange(len(explanation.relevance)) < len(explanation.relevance) // 100
    relevance = np.where(covered[:, None], 0.5, 0.0).astype(np.float32)
    assert colour_limit(replace(explanation, relevance=relevance, covered=covered)) == 0.5
    assert colour_limit(replace(explanation, relevance=relevance, covered=np.zeros_like(covered))) == 0


def test_only_uncovered_frames_are_hatched(analysis):
    relevance = np.zeros_like(analysis.explanations["lime"].relevance)
    covered = np.arange(len(relevance)) >= len(relevance) // 4
    darker = (one_map(analysis, relevance) - one_map(analysis, relevance, covered))[..., :3].mean(axis=(0, 2))
    columns = np.flatnonzero(darker)
    assert (darker[columns] > 0).all()
    assert 0.15 * len(darker) < np.ptp(columns) < 0.3 * len(darker)
    assert columns.max() < len(darker) / 2


def test_only_the_stretch_of_a_long_recording_is_drawn(analysis):
    rate, long_s = 16_000, 90
    samples = np.zeros(long_s * rate, np.float32)
    spectrogram = replace(analysis.spectrogram, log_mel=np.tile(analysis.spectrogram.log_mel, (46, 1)))
    long = replace(
        analysis,
        recording=replace(analysis.recording, samples=samples),
        spectrogram=spectrogram,
        stretch=Region(30.0, 45.0),
        explanations={},
        profile=None,
        focus_by=None,
        focus=(FocusRegion(Region(31.0, 31.5), 0.1, 1.0),),
    )
    assert "The picture shows 30.00 to 45.00 s of 90.00 s." in Page(report_html(long)).text()
    # Values outside change no pixel and no colour scale; values inside do.
    first = report_picture(long, {}, "light")
    for second, same in ((20, True), (40, False)):
        log_mel = spectrogram.log_mel.copy()
        log_mel[100 * second : 100 * second + 50] = 9.0
        other = report_picture(replace(long, spectrogram=replace(spectrogram, log_mel=log_mel)), {}, "light")
        assert (other == first) == same


# --- the command ---


@pytest.fixture
def command(analysis, monkeypatch, tmp_path):
    """Run `analyse` on a recording with a small model in memory; return its exit code and the files written."""
    soundfile.write(tmp_path / "a.wav", analysis.recording.samples, 16_000)
    monkeypatch.setattr(analyse, "load_model", lambda name: classifier_of(fresh(TinyNetwork)))
    out = tmp_path / "out"

    def run(*arguments):
        files = ["--model", "small", "--explain", "grad_cam", "--out", str(out), str(tmp_path / "a.wav")]
        code = main(["analyse", *files, *arguments])
        return code, {path.name: path for path in (out / "a").iterdir()} if out.exists() else {}

    return run


def test_the_command_writes_the_report_beside_the_other_files_on_request(command):
    usual = {"analysis.json", "focus", "maps.npz", "overview.png"}
    code, files = command()
    assert (code, set(files)) == (0, usual)
    code, files = command("--report")
    assert (code, set(files)) == (0, usual | {"report.html"})
    page = Page(files["report.html"].read_text(encoding="utf-8"))
    assert page.all("h1")[0][1] == "a.wav"
    assert len(page.sounds()) == len(list(files["focus"].iterdir())) + 1


def test_a_report_that_cannot_be_made_leaves_nothing_half_written(command, monkeypatch, tmp_path):
    def impossible(*_):
        raise OSError("no room")

    monkeypatch.setattr("ser_core.output.report.report_html", impossible)
    code, files = command("--report")
    assert (code, files) == (2, {})
    assert not (tmp_path / "out").exists()


def test_the_help_text_mentions_the_report(capsys):
    with pytest.raises(SystemExit):
        main(["analyse", "--help"])
    assert "--report" in capsys.readouterr().out


# --- in a browser ---


@pytest.mark.browser
def test_the_page_opens_offline_with_its_pictures_and_sound_and_fits_a_narrow_window(analysis, tmp_path):
    needs_browser(model=False)
    hostile = replace(analysis, recording=replace(analysis.recording, name=HOSTILE), warnings=(HOSTILE,))
    (tmp_path / "report.html").write_text(report_html(hostile), encoding="utf-8")
    said = []
    with sync_playwright() as playwright:
        browser = launch(playwright)
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport={"width": 400, "height": 800}, color_scheme=scheme)
            page.context.set_offline(True)
            for event in ("console", "pageerror", "dialog", "requestfailed"):
                page.on(event, lambda what: said.append(what))
            page.goto((tmp_path / "report.html").as_uri())
            page.wait_for_function("[...document.querySelectorAll('audio')].every(audio => audio.duration > 0)")
            assert page.locator("img").evaluate_all("images => images.map(i => i.naturalWidth > 0)") == [True]
            shown = page.locator("img").evaluate("image => image.currentSrc")
            assert _decoded(shown, "image/png") == report_picture(hostile, with_consensus(hostile.explanations), scheme)
            assert page.evaluate("document.documentElement.scrollWidth") <= 400
            durations = page.locator("audio").evaluate_all("all => all.map(audio => audio.duration)")
            lengths = [focus.region.duration_s for focus in analysis.focus]
            assert durations == pytest.approx([*lengths, 2.0], abs=0.001)
        browser.close()
    assert said == []


@pytest.mark.parametrize(
    ("alone", "without", "words"),
    [
        ("sad", "happy", "the model still predicts sad (0.70). Without the focus it predicts happy (0.70)."),
        ("happy", "sad", "the model predicts happy (0.70). Without the focus it still predicts sad (0.70)."),
    ],
)
def test_the_report_says_whether_the_focus_decides(analysis, page_of, page, alone, without, words):
    def sound_of(emotion):
        return ChangedSound(np.zeros(1, np.float32), np.where(np.array(EMOTIONS) == emotion, 0.7, 0.1))

    scores = replace(analysis.scores, recording=sound_of("sad").scores)
    focus_scores = FocusScores(sound_of(alone), sound_of(without))
    text = Page(report_html(replace(analysis, scores=scores), focus_scores=focus_scores)).text()
    assert f"From the sound of the focus alone, {words}" in text
    assert "From the sound of the focus alone" not in page.text()


def test_the_mask_of_the_focus_has_all_bands_of_the_frames_in_its_regions(analysis):
    times_s = analysis.spectrogram.frame_times_s
    inside = np.any([(f.region.start_s <= times_s) & (times_s < f.region.end_s) for f in analysis.focus], axis=0)
    assert 0 < inside.sum() < len(inside)
    expected = np.zeros(analysis.spectrogram.log_mel.shape, bool)
    expected[inside] = True
    np.testing.assert_array_equal(focus_region_mask(analysis), expected)
