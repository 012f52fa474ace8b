"""A page with one chart, for tests in a browser."""

import sys
from pathlib import Path

import plotly.graph_objects as go
import streamlit as st

sys.path.insert(0, str(Path(__file__).parent.parent))

from pages.shared.charts import axes

figure = axes.sized(go.Figure(go.Scatter(y=[1, 3, 2])), 300)
st.plotly_chart(figure, config=axes.config(removed=()), key="chart")
