"""Fixtures and hooks for all tests: a synthetic voice, the corpora, markers, the order of test files."""

import gc
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, settings

from ser_core.analysis import Analysis, Recording
from tests.app_parent import coarse, share_decoders

# The same examples in every run, and no deadline: a busy machine must not fail a test.
settings.register_profile(
    "steady", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=30
)
settings.register_profile("long", settings.get_profile("steady"), max_examples=400)
settings.load_profile("steady")

# Imports free nothing, and garbage collection would take a fifth of the collection's time.
gc.disable()

#: Modules without tests. Looking for doctests would import them, and some are scripts.
collect_ignore = [path.name for path in Path(__file__).parent.glob("*.py") if not path.name.startswith("test_")]


#: About how long a test with a marker takes, in s.
SECONDS = {"browser": 4.0, "page": 1.5, "process": 1.0, "slow": 0.5, "database": 0.2}
#: How long files took with three workers on two cores, in s, if their markers give another time.
SECONDS_OF_FILES = {
    "test_engines.py": 190,
    "test_browser.py": 150,
    "test_annotate_page.py": 130,
    "test_batch.py": 106,
    "test_training_process.py": 79,
    "test_player.py": 78,
    "test_security_in_browser.py": 60,
    "test_decoding_process.py": 56,
    "test_command_line.py": 49,
    "test_faults.py": 47,
    "test_proxies.py": 40,
    "test_audio.py": 31,
    "test_processes.py": 30,
    "test_server_guard.py": 30,
    "test_torchaudio_import.py": 25,
    "test_hostile_input.py": 27,
    "test_annotation_formats.py": 27,
    "test_baselines.py": 27,
    "test_report.py": 27,
    "test_timeline.py": 27,
    "test_checkpoint.py": 24,
    "test_whisper_training.py": 24,
    "test_annotation_faults.py": 19,
    "test_onnx_classifier.py": 19,
    "test_classifier.py": 18,
    "test_cluster.py": 17,
    "test_experiments.py": 17,
    "test_annotation_commands.py": 16,
    "test_secrets.py": 16,
    "test_model_comparison.py": 14,
    "test_baseline_training.py": 14,
    "test_layers.py": 14,
    "test_evaluation.py": 13,
    "test_own_model.py": 13,
    "test_deployment.py": 12,
    "test_login.py": 11,
}


def seeds(count: int, *, long: int) -> list:
    """Return the seeds for a `parametrize`: 0 to `count` - 1 in every run, up to `long` - 1 in long runs."""
    return [*range(count), *(pytest.param(seed, marks=pytest.mark.long) for seed in range(count, long))]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Set the markers `database` and `page` before `-m` selects, and sort files for several workers.

    The longest files come first, or one worker would still run one of them after all others have ended.
    """
    for item in items:
        if "database_url" in getattr(item, "fixturenames", ()):
            item.add_marker("database")
        if runs_pages(getattr(item, "module", None)):
            item.add_marker("page")
    if hasattr(config, "workerinput"):
        cost = Counter()
        for item in items:
            cost[item.path] += max((SECONDS.get(mark.name, 0) for mark in item.iter_markers()), default=0) or 0.05
        items.sort(key=lambda item: (-SECONDS_OF_FILES.get(item.path.name, cost[item.path]), item.path))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Exclude imported objects from garbage collections, because no test frees them, and collect old objects rarely.

    By default a worker traverses all objects of apps and models about 50 times, which takes 14 s.
    """
    gc.freeze()
    gc.set_threshold(10_000, 20, 100)
    gc.enable()


@cache
def runs_pages(module: ModuleType | None) -> bool:
    """Return whether a test module imports Streamlit's `AppTest`, or a function of `tests/test_pages.py`."""
    runners = ("streamlit.testing.v1.app_test", "tests.test_pages")
    return any(getattr(value, "__module__", None) in runners for value in vars(module).values()) if module else False


class FailuresAtOnce:
    """Prints the name of a test as soon as it fails; pytest prints it at the end."""

    def __init__(self, reporter: pytest.TerminalReporter) -> None:
        self.reporter = reporter

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.reporter.ensure_newline()
            self.reporter.write_line(f"FAILED {report.nodeid} ({report.when})", red=True)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    if reporter := config.pluginmanager.get_plugin("terminalreporter"):
        config.pluginmanager.register(FailuresAtOnce(reporter))


def voice_like(seconds: float, rate: int, seed: int = 0) -> np.ndarray:
    """Return four syllables a second: gliding harmonics below 3.6 kHz with two formants, a little noise; peak 0.5."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(round(seconds * rate)) / rate
    pitch_hz = 140 + 25 * np.sin(2 * np.pi * 0.7 * time_s + rng.uniform(0, 2 * np.pi))
    turn = np.exp(2j * np.pi * np.cumsum(pitch_hz) / rate)
    formants_hz = rng.uniform(400, 800), rng.uniform(1_200, 2_200)
    tone, harmonic_turn = np.zeros(len(time_s)), np.ones(len(time_s), complex)
    for harmonic in range(1, int(min(3_600, 0.45 * rate) / pitch_hz.max()) + 1):
        level = sum(1 / (1 + ((harmonic * 140 - formant) / 150) ** 2) for formant in formants_hz)
        harmonic_turn *= turn
        tone += level * harmonic_turn.imag
    syllables = 0.05 + np.sin(np.pi * 4 * time_s) ** 2
    samples = tone * syllables
    samples = samples / np.abs(samples).max() + 0.002 * rng.standard_normal(len(samples))
    return (0.5 * samples / np.abs(samples).max()).astype(np.float32)


@pytest.fixture(autouse=True)
def _same_main_module() -> Iterator[None]:
    """Restore the main module: a page that a test runs replaces it, and later processes would run the page too."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


@pytest.fixture(autouse=True)
def _no_work_left_behind(request) -> Iterator[None]:
    """Cancel the jobs of a page that its test did not wait for: the next test's jobs would queue behind them."""
    yield
    if request.node.get_closest_marker("page") and "pages.shared.cached" in sys.modules:
        jobs = sys.modules["pages.shared.cached"].jobs()
        for job in [job for job in jobs._jobs.values() if not job.ended.is_set()]:
            jobs.cancel(job)


@pytest.fixture(autouse=True)
def _decoders_of_all_visits(request, monkeypatch) -> None:
    """Decode for every visit to a page in the same processes; outside tests, each visit gets its own."""
    if request.node.get_closest_marker("page"):
        share_decoders(monkeypatch.setattr)


@pytest.fixture(scope="session", autouse=True)
def _components_once() -> Iterator[None]:
    """Let Streamlit look for components in the installed packages once; its test runner would for each page."""
    with pytest.MonkeyPatch.context() as replaced:
        if "streamlit" in sys.modules:
            from streamlit.components.v2 import manifest_scanner as scanner

            replaced.setattr(scanner, "scan_component_manifests", cache(scanner.scan_component_manifests))
        yield


def focus_of(analysis: Analysis) -> dict[str, object]:
    return {name: getattr(analysis, name) for name in ("profile", "focus", "focus_by", "focus_settings")}


@pytest.fixture(scope="session", autouse=True)
def _coarse_maps_once() -> Iterator[None]:
    """Compute each map that pages show, coarsely, its focus and its faithfulness once: most tests show the same ones.

    The key is that of the page's job, so another input is another map. A test may replace these functions itself.
    """
    explaining, computed = sys.modules.get("pages.shared.cached.explaining"), {}

    def once(name: str, key_of: Callable, settings_of: Callable = lambda settings: settings) -> None:
        compute = getattr(explaining, name)

        def computed_once(analysis, of, classifier, settings, work):
            settings = settings_of(settings)
            key = (name, id(classifier), analysis.stretch, key_of(analysis, of, settings))
            if key not in computed:
                computed[key] = classifier, compute(analysis, of, classifier, settings, work)
            result = computed[key][1]
            return result if name != "with_deciding_focus" else replace(analysis, **focus_of(result))

        replaced.setattr(explaining, name, computed_once)

    with pytest.MonkeyPatch.context() as replaced:
        if explaining:
            once("explainer_run", explaining._explainer_key, coarse)
            once("with_deciding_focus", explaining._focus_key)
            once("judge_maps", lambda analysis, maps, settings: (analysis.recording.sha256, analysis.emotion, settings))
        yield


@pytest.fixture(scope="session")
def make_voice() -> Callable[..., np.ndarray]:
    """The function `voice_like(seconds, rate, seed)`."""
    return voice_like


@pytest.fixture(scope="session")
def voice() -> np.ndarray:
    """2.5 s of a synthetic voice at 16 kHz."""
    return voice_like(2.5, 16_000)


@pytest.fixture
def recording(voice) -> Recording:
    """The synthetic voice as a recording."""
    samples = voice.copy()
    samples.setflags(write=False)
    return Recording("voice.wav", "0" * 64, samples, 16_000)


@pytest.fixture(scope="session")
def corpora() -> Path:
    """The folder that holds ravdess, emodb, nemo and korean_emotional_tts."""
    folder = os.environ.get("SER_CORPORA")
    if folder and Path(folder).is_dir():
        return Path(folder)
    reason = f"SER_CORPORA names no folder ({folder!r}); it should hold ravdess, emodb, nemo and korean_emotional_tts"
    if "corpora" in os.environ.get("SER_REQUIRE", "").split(","):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def small_corpus(tmp_path_factory, make_voice):
    """Five synthetic speakers unknown to all models, named as in EMO-DB; two takes of each of four emotions."""
    folder = tmp_path_factory.mktemp("emodb")
    for number, speaker in enumerate(("21", "22", "23", "24", "25")):
        for place, letter in enumerate("WFNT"):
            for take in "ab":
                samples = make_voice(1.0 + 0.1 * place, 16_000, seed=100 * number + 10 * place + ord(take))
                soundfile.write(folder / f"{speaker}a0{place + 1}{letter}{take}.wav", samples, 16_000)
    return folder
