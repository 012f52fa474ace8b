"""The frame of every page: title, style and, on the first visit, a notice."""

from pathlib import Path

import streamlit as st

from pages.shared import language, links, session
from pages.shared.language import t, texts
from pages.shared.language.names import in_markdown
from pages.shared.recording import open_recordings, tour
from pages.shared.server import login, uncaught, visits

ROOT = Path(__file__).parents[2]
LAW = ROOT / "docs" / "law.md"

NOTICE = texts("""
**Before you begin.** A model listens to a voice and guesses an emotion. It learnt from acted speech, is often wrong,
and cannot know what anybody feels. Use it for research, teaching and art, never to judge people: inferring emotions at
work or in education is prohibited in the European Union (AI Act, Article 5(1)(f)). Tell anyone you record. Audio stays
on the machines that run this app, and is stored only if you save it or add it to a project.
""")

#: Names of the pages by file, in groups. Streamlit's own list would call the first page "app", and has no groups.
PAGES = texts(
    [
        (
            "Explore",
            {
                "app.py": "Recording",
                "pages/1_Explain.py": "Explain",
                "pages/2_Listen.py": "Listen",
                "pages/7_Compare.py": "Compare",
            },
        ),
        ("Annotation", {"pages/3_Annotate.py": "Annotate"}),
        (
            "Models",
            {"pages/4_Select.py": "Select", "pages/5_Train.py": "Train", "pages/6_Evaluate.py": "Evaluate"},
        ),
        ("Help", {"pages/8_Glossary.py": "Glossary"}),
    ]
)

STYLE = """
<style>
  .block-container { padding-top: 3.2rem; padding-bottom: 3rem; max-width: 76rem; }
  .st-key-pages { gap: 0.5rem; }
  .st-key-pages [data-testid="stCaptionContainer"] { padding-left: 0.5rem; }
  .st-key-pages > :has([data-testid="stCaptionContainer"]):not(:first-child) { margin-top: 0.5rem; }
  .st-key-pages > .st-key-tour_begin { margin-top: -0.3rem; }
  .st-key-pages > .st-key-law { margin-top: -0.6rem; }
  .st-key-theme { display: none; }
  .st-key-samples button { text-align: left; min-height: 2rem; }
  .st-key-tour_begin button, .st-key-law button, .st-key-languages button { padding: 0.25rem 0.5rem; min-height: 0; }
  /* Korean words are not broken. */
  :is([data-testid="stMarkdownContainer"], [data-testid="stCaptionContainer"]) :is(p, li, h1, h2, h3)
    { word-break: keep-all; overflow-wrap: anywhere; }
  /* White would be illegible on the dark theme's light blue. */
  [data-testid="stBaseButton-primary"], [data-testid="stBaseButton-primaryFormSubmit"], [data-tag] *
    { color: light-dark(#fff, #0e1117); }
  /* Buttons that show only an icon have a name for screen readers. */
  [class*="st-key-icon_"] button [data-testid="stMarkdownContainer"]
    { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
  /* Where nothing hovers, as on a phone, Plotly would always show a chart's buttons, over its title. */
  .js-plotly-plot:not(:hover, :focus-within) .modebar { opacity: 0; pointer-events: none; }
  @media (prefers-reduced-motion: reduce) {
    *, ::before, ::after { animation-duration: 0.01ms !important; animation-iteration-count: 1 !important;
      transition-duration: 0.01ms !important; scroll-behavior: auto !important; }
  }
  /* Where text is large or the window narrow, columns stand below each other, and choices take several lines. */
  [data-testid="stColumn"]:has([data-testid="stSlider"]) { min-width: min(100%, 8rem); }
  [data-testid="stColumn"]:has(.stMarkdownBadge, [data-testid="stMetric"]) { min-width: min(100%, 10rem); }
  [data-testid="stColumn"]:has(.st-key-projects) { min-width: min(100%, 9rem); }
  [data-testid="stColumn"]:has([data-testid="stButtonGroup"], [data-testid="stPageLink"], .scores)
    { min-width: min(100%, 12rem); }
  [data-testid="stButtonGroup"] > :has(> button) { flex-wrap: wrap; }
  h1 { font-weight: 650; letter-spacing: -0.02em; padding-bottom: 0.2rem; }
  .verdict { display: flex; align-items: baseline; gap: 0.8rem; flex-wrap: wrap; margin: 0.1rem 0 0.4rem; }
  .verdict .word { font-size: 2.3rem; font-weight: 700; line-height: 1.1; border-bottom: 0.28rem solid; }
  .verdict .how { opacity: 0.8; }
  .scores { display: grid; grid-template-columns: max-content 1fr max-content; align-items: center; }
  .scores { gap: 0.35rem 0.8rem; }
  .scores .track { height: 0.9rem; border-radius: 0.45rem; background: rgba(127, 127, 127, 0.18); overflow: hidden; }
  .scores .bar { height: 100%; border-radius: 0.45rem; }
  [class*="st-key-widget_timeline_stretch"] :has(> [data-testid=stSliderThumbValue])
    ~ * [data-testid=stSliderThumbValue] p { position: relative; top: 2.4rem; }
  .scores .value { font-variant-numeric: tabular-nums; }
  .scores .track.beside { height: 0.4rem; margin-top: -0.35rem; align-self: start; }
  .scores .track.beside .bar { opacity: 0.6; }
  .lines { display: flex; flex-wrap: wrap; gap: 0.3rem 1.2rem; font-size: 0.875rem; }
  .lines i { display: inline-block; width: 2.1rem; height: 3px; margin-right: 0.4rem; vertical-align: middle; }
  .scores .value.beside { font-size: 0.75rem; opacity: 0.8; line-height: 1; margin-top: -0.35rem; }
  .st-key-status { min-height: 3.5rem; }
  .st-key-result { min-height: 15rem; }
  [class*="st-key-progress_"] { flex-wrap: nowrap; }
  [class*="st-key-progress_"] [data-testid="stProgress"] { min-width: 0; }
  .compared { overflow-x: auto; }
  .compared table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
  .compared th, .compared td { text-align: left; padding: 0.4rem 1.2rem 0.4rem 0; vertical-align: baseline; }
  .compared tr { border-bottom: 1px solid rgba(127, 127, 127, 0.25); }
  .compared thead th { font-weight: 400; opacity: 0.8; font-size: 0.875rem; }
  .compared tbody th { font-weight: 600; white-space: nowrap; }
  .compared .verdict-word { font-weight: 600; border-bottom: 0.18rem solid; white-space: nowrap; }
  .compared td { white-space: nowrap; }
  .compared td.words { white-space: normal; }
  .compared .how, .compared .unknown, .compared .words { opacity: 0.8; }
  .compared .track { height: 0.4rem; min-width: 3.5rem; border-radius: 0.2rem; overflow: hidden; }
  .compared .track { background: rgba(127, 127, 127, 0.18); margin-top: 0.15rem; }
  .compared .bar { height: 100%; border-radius: 0.2rem; }
</style>
"""


#: On a phone the sidebar covers the page, and Streamlit closes it only after a click in its own list of pages. It also
#: adds each change of the address to the browser's history, so *Back* would first undo every choice made on the page.
PAGE_NAVIGATION = """
<script>
  if (!window.hearWhyNavigation) {
    window.hearWhyNavigation = true;
    const push = history.pushState.bind(history);
    history.pushState = (state, title, address) => {
      const stays = new URL(address ?? "", location).pathname === location.pathname;
      return stays ? history.replaceState(state, title, address) : push(state, title, address);
    };
    document.addEventListener("click", ({ target }) => {
      if (innerWidth < 768 && target.closest('[data-testid="stSidebar"] [data-testid="stPageLink"]'))
        document.querySelector('[data-testid="stSidebarCollapseButton"] button')?.click();
    });
  }
</script>
"""

#: Charts are drawn for the browser's theme, and Streamlit does not run the page again when the theme changes.
RERUN_ON_THEME_CHANGE = """
export default ({ parentElement, setTriggerValue }) => {
  const app = document.querySelector("[data-testid=stApp]");
  const theme = () => getComputedStyle(app).colorScheme;
  let before = theme();
  parentElement.watching?.disconnect();
  parentElement.watching = new MutationObserver(() => {
    if (theme() !== before) setTriggerValue("changed", (before = theme()));
  });
  parentElement.watching.observe(app, { attributes: true, attributeFilter: ["class"] });
  return () => parentElement.watching.disconnect();
};
"""
_theme = st.components.v2.component("hear_why_theme", js=RERUN_ON_THEME_CHANGE)

uncaught.install()


def begin(title: str, icon: str, lead: str) -> None:
    """Start a page. Every page calls this first, because any of them may be opened first."""
    menu = {"About": law(), "Get help": None, "Report a bug": None}
    st.set_page_config(page_title=f"{title} · Hear Why", page_icon=icon, layout="wide", menu_items=menu)
    st.html(STYLE)
    visits.begin()
    session.begin_run()
    st.title(title)
    st.caption(lead)
    pages = st.sidebar.container(key="pages", gap=None)
    login.require()
    show_closed_recordings()
    # One element that is always there: otherwise the browser would redraw all below it, and forget which tab is open.
    with st.container():
        links.begin_visit()
        if not st.session_state.get("notice_read"):
            _notice()
        else:
            tour.show(title)
    view = links.write()
    with pages:
        _links(view)


def show_closed_recordings() -> None:
    """Show which recordings were closed to make room."""
    for name in open_recordings.closed():
        st.toast(
            t(
                "{name} was closed to make room: one recording over ten minutes is open at a time, and "
                "{limit} MiB of others.",
                name=in_markdown(name),
                limit=open_recordings.MAX_HELD_BYTES // 2**20,
            )
        )


def _links(view: dict[str, str]) -> None:
    """Link to the pages, by task. Some may be missing on a server, as with the Dockerfile."""
    for group, files in PAGES:
        st.caption(t(group))
        for file, name in files.items():
            if (ROOT / file).is_file():
                st.page_link(file, label=t(name), query_params=view)
    if st.button(t("Guided first minute"), key="tour_begin", type="tertiary"):
        tour.begin()
    if st.session_state.get("notice_read") and st.button(t("What the law says"), key="law", type="tertiary"):
        _law()
    language.choose()
    st.html(PAGE_NAVIGATION, unsafe_allow_javascript=True)
    _theme(key="theme", on_changed_change=lambda: None)


def _notice() -> None:
    with st.container(border=True):
        st.markdown(t(NOTICE))
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            accepted = st.button(t("I understand"), type="primary", key="notice_button")
            wants_tour = st.button(t("Understood, show me around"), key="notice_tour", icon=":material/explore:")
            if st.button(t("What the law says"), type="tertiary", key="notice_law", icon=":material/gavel:"):
                _law()
        if accepted or wants_tour:
            st.session_state["notice_read"] = True
            if wants_tour:
                tour.begin()
            st.rerun()


def _law() -> None:
    st.dialog(t("What this is, and what is banned"), width="large")(lambda: st.markdown(law()))()


def law() -> str:
    """Return the text of docs/law.md without its title, in the visit's language."""
    return language.document(LAW)
