"""A page with a chart, a slider and a table, for tests in a browser."""

import sys
from pathlib import Path

import plotly.graph_objects as go
import streamlit as st

sys.path.insert(0, str(Path(__file__).parent.parent))

from pages.shared.charts import axes
from pages.shared.language import number_column, number_format

figure = axes.sized(go.Figure(go.Scatter(y=[1, 3, 2])), 300)
st.plotly_chart(figure, config=axes.config(removed=()), key="chart")
value = st.slider("slider", 0.0, 6.05, (0.5, 6.05), 0.01, number_format(2))
st.dataframe({"tenths": [1.5, 0.3, 2000.0]}, column_config={"tenths": number_column("tenths", 1)})
st.text(value)
