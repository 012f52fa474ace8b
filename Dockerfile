# The app runs as an unprivileged user; only /data and /tmp need to be writable.
FROM python:3.12-slim

RUN useradd --system --uid 10001 --home-dir /data --create-home hear
WORKDIR /app
COPY requirements.lock requirements.txt ./
RUN pip install --no-cache-dir --no-deps --require-hashes -r requirements.lock \
 && pip install --no-cache-dir torch==2.13.0 torchaudio==2.11.0 --index-url https://download.pytorch.org/whl/cpu
COPY app.py LICENSE ./
COPY .streamlit .streamlit
COPY ser_core ser_core
COPY pages pages
# Training reads folders of the machine and writes models, which visitors of a server must not.
RUN rm pages/5_Train.py
COPY models models
COPY docs/law*.md docs/glossary*.md docs/
RUN python -m compileall -q ser_core pages

# With two allocator arenas for all threads, the app takes a fifth less memory after many visits. Without a server
# address Streamlit would request its own from a service on the internet when it starts.
ENV SER_DATA=/data HOME=/data MALLOC_ARENA_MAX=2 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 MPLCONFIGDIR=/tmp/matplotlib
ENV STREAMLIT_BROWSER_SERVER_ADDRESS=localhost
USER hear
VOLUME /data
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=15s --start-period=60s \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=10)"]
CMD ["streamlit", "run", "app.py", "--server.address", "0.0.0.0", "--server.headless", "true", "--server.fileWatcherType", "none"]
