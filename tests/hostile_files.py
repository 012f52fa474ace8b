"""Hostile files: every format that is read, damaged at random by a seed, and known attacks by name."""

import io
import json
import re
import struct
import zlib
from collections.abc import Callable
from functools import cache

import numpy as np
import soundfile

from ser_core.analysis import Region
from ser_core.annotations.annotation import AnnotatedRecording, Annotation
from ser_core.annotations.formats import FORMATS
from tests.conftest import voice_like
from tests.test_audio import encoded, encoded_with_av

#: Unexpected values.
STRANGE = (
    b"\0",
    b"NaN",
    b"Infinity",
    b"1e999",
    b"-1",
    b"9" * 5_000,
    b'"',
    b"[[" * 50_000,
    b'{"a":' * 3_000,
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\r",
    b"<",
    b"&#0;",
    b"<!DOCTYPE a [<!ENTITY b 'c'>]>",
    b"\\ud800",
    b"\x1d",
    b"../../etc/passwd",
    b"\xf0\x9f\x92\xa9",
    b"\xe2\x80\xae",
)
NUMBERS = (b"-1", b"0", b"nan", b"inf", b"1e400", b"1e-320", b"99999999999999999999", b"true", b"", b"1_0", b"\xd9\xa1")
NUMBER = re.compile(rb"-?\d+(\.\d+)?")
#: Sizes, rates and counts are in the first bytes.
HEADER_BYTES = 64


SRT = """1
00:00:00,500 --> 00:00:01,250
<i>so</i>
what?

2
00:01:00,000 --> 00:01:02,000 X1:0
sad
"""
VTT = """WEBVTT - a title

NOTE not a cue
00:00.000 --> 00:09.000

intro
00:00.500 --> 00:01.250 align:start
<v Anna>so &amp; what?

01:00:00.000 --> 01:00:02.5
<b></b>
"""
RTTM = """;; made by hand
SPKR-INFO take_1 1 <NA> <NA> <NA> unknown anna <NA>
SPEAKER take_1 1 0.50 0.75 <NA> <NA> anna <NA> <NA>
SPEAKER take_2 1 1.00 0.00 <NA> <NA> ben <NA> <NA>
SPEAKER take_2 1 2.00 1.00 <NA> <NA> <NA> <NA>
"""
RAVEN = (
    "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tAnnotation\tDelta\n"
    "1\tWaveform 1\t1\t0.5\t1.25\t300.0\t3000.5\tangry\t1\n"
    "1\tSpectrogram 1\t1\t0.5\t1.25\t300.0\t3000.5\tangry\t1\n"
    "2\tSpectrogram 1\t1\t2.0\t3.0\t0\t0\tdoor slams\t1\n"
)
TRANSCRIBER = """<?xml version="1.0" encoding="ISO-8859-1"?>
<!DOCTYPE Trans SYSTEM "trans-14.dtd">
<Trans scribe="by hand" audio_filename="take" version="1" version_date="240101">
<Topics>
<Topic id="to1" desc="le caf\xe9"/>
</Topics>
<Speakers>
<Speaker id="spk1" name="Anna" check="no" type="female" dialect="native" accent="" scope="local"/>
<Speaker id="spk2" name="Ben" check="no" type="male" dialect="native" accent="" scope="local"/>
</Speakers>
<Episode program="" air_date="">
<Section type="report" topic="to1" startTime="0" endTime="6.5">
<Turn speaker="spk1" startTime="0" endTime="3.25" mode="spontaneous" fidelity="high" channel="studio">
<Sync time="0"/>
so what
<Event desc="rire" type="noise" extent="instantaneous"/>
?
<Sync time="1.5"/>

<Background time="1.6" type="music" level="high"/>
<Sync time="2.5"/>
and &amp; then
</Turn>
<Turn speaker="spk1 spk2" startTime="3.25" endTime="5">
<Sync time="3.25"/>
<Who nb="1"/>
yes
<Who nb="2"/>
no
</Turn>
<Turn startTime="5" endTime="6.5">
<Sync time="5"/>

</Turn>
</Section>
</Episode>
</Trans>
"""
CHAT = """@UTF8
@Begin
@Languages:\teng
@Participants:\tCHI Anna Target_Child, MOT Mary Mother
@ID:\teng|made|CHI|2;00.||||Target_Child|||
@Media:\ttake, audio
*CHI:\tmore cookie . \x15500_1250\x15
%mor:\tqn|more n|cookie .
%wor:\tmore \x15500_800\x15 cookie \x15800_1250\x15 .
*MOT:\tyou had
\tone already . \x151300_2500\x15
*MOT:\tno times here .
*CHI:\twhy ? \x15%snd:"take"_2600_2900\x15
@End
"""
EMU = {
    "name": "take",
    "annotates": "take.wav",
    "sampleRate": 20000,
    "levels": [
        {"name": "Word", "type": "ITEM", "items": [{"id": 1, "labels": [{"name": "Word", "value": "so"}]}]},
        {
            "name": "Phonetic",
            "type": "SEGMENT",
            "items": [
                {"id": 2, "sampleStart": 3749, "sampleDur": 1389, "labels": [{"name": "Phonetic", "value": "V"}]},
                {"id": 3, "sampleStart": 5139, "sampleDur": 1664, "labels": [{"name": "Phonetic", "value": "m"}]},
            ],
        },
        {"name": "Tone", "type": "EVENT", "items": [{"id": 4, "samplePoint": 4000, "labels": [{"value": "H*"}]}]},
        {"name": "Utterance", "type": "ITEM", "items": [{"id": 5, "labels": [{"value": ""}, {"value": "x"}]}]},
        {"name": "Lost", "type": "ITEM", "items": [{"id": 6, "labels": [{"value": "y"}]}]},
    ],
    "links": [{"fromID": 5, "toID": 1}, {"fromID": 1, "toID": 2}, {"fromID": 1, "toID": 3}],
}


@cache
def audio_files() -> dict[str, bytes]:
    """Return one intact file of a second for each kind of audio that is read."""
    voice, at_48_khz = voice_like(1.0, 16_000), voice_like(1.0, 48_000)
    return {
        "wav": encoded(voice),
        "wav of floats": encoded(voice, subtype="FLOAT"),
        "wav of 24 bits": encoded(voice, subtype="PCM_24"),
        "aiff": encoded(voice, kind="AIFF"),
        "flac": encoded(voice, kind="FLAC"),
        "vorbis": encoded(voice, kind="OGG", subtype="VORBIS"),
        "opus": encoded(voice, kind="OGG", subtype="OPUS"),
        "mp3": encoded(voice, kind="MP3", subtype="MPEG_LAYER_III"),
        "m4a": encoded_with_av(at_48_khz, "mp4", "aac"),
        "webm": encoded_with_av(at_48_khz, "webm", "libopus"),
    }


def annotation_files() -> dict[str, bytes]:
    """Return one intact file of each annotation format and each of its variants."""
    marks = (
        Annotation(Region(0.25, 1.0, 100.0, 2000.0), emotion="angry", intensity=3, note='so "loud" [x=1]'),
        Annotation(Region(0.5, 2.0), emotion="sad", annotator="anna"),
    )
    recording = AnnotatedRecording("voice.wav", "ab" * 32, 2.5, 16_000, marks, {"model": "fusion"})
    files = {key: file_format.write([recording]).content for key, file_format in FORMATS.items()}
    textgrid = FORMATS["textgrid"]
    return (
        files
        | {
            "short textgrid": textgrid.write([recording], short=True).content,
            "wide textgrid": textgrid.write([recording], encoding="utf-16").content,
            "chronological textgrid": b'"Praat chronological TextGrid text file" 0 2.5 1 "IntervalTier" "a" 0 2.5\n'
            b'1 0 1 "angry" 1 1 2.5 ""',
            "binary textgrid": binary_textgrid(),
            "foreign table": b"file;begin;duration;label\na.wav;0,5;0,25;sad\n",
        }
        | other_files()
    )


def other_files() -> dict[str, bytes]:
    """Return one intact file, as other tools write it, of each annotation format that holds less than ours."""
    return {
        "srt": SRT.encode(),
        "vtt": VTT.encode(),
        "rttm": RTTM.encode(),
        "raven": RAVEN.encode(),
        "emu": json.dumps(EMU).encode(),
        "transcriber": TRANSCRIBER.encode("latin-1"),
        "chat": CHAT.encode(),
    }


def binary_textgrid() -> bytes:
    """Return a TextGrid as Praat writes it with *Save as binary file*."""
    edges = struct.pack(">dd", 0, 2.5)
    words = b"\0\5angry", b"\xff\xff" + struct.pack(">H", 2) + "슬픔".encode("utf-16-be")
    intervals = struct.pack(">dd", 0, 1) + words[0] + struct.pack(">dd", 1, 2.5) + words[1]
    tier = b"\x0cIntervalTier\0\1a" + edges + struct.pack(">i", 2) + intervals
    points = b"\x08TextTier\0\1b" + edges + struct.pack(">id", 1, 0.5) + b"\0\4ding"
    return b"ooBinaryFile\x08TextGrid" + edges + b"\1" + struct.pack(">i", 2) + tier + points


def mutated(data: bytes, seed: int, others: list[bytes]) -> bytes:
    """Return a file with one to five kinds of damage: flipped bits, cuts, splices with another, wild numbers."""
    rng = np.random.default_rng(seed)
    for _ in range(rng.integers(1, 6)):
        data = WAYS[rng.integers(len(WAYS))](data, rng, others)
    return data


def _turn_bits(data: bytes, rng: np.random.Generator, others: list[bytes]) -> bytes:
    changed = np.frombuffer(data, np.uint8).copy()
    if len(changed):
        changed[rng.integers(len(changed), size=rng.integers(1, 30))] ^= np.uint8(1 << rng.integers(8))
    return changed.tobytes()


def _cut_off(data: bytes, rng: np.random.Generator, others: list[bytes]) -> bytes:
    return data[: rng.integers(len(data) + 1)]


def _cut_out(data: bytes, rng: np.random.Generator, others: list[bytes]) -> bytes:
    place = rng.integers(len(data) + 1)
    return data[:place] + data[place + rng.integers(1, 200) :]


def _repeat(data: bytes, rng: np.random.Generator, others: list[bytes]) -> bytes:
    place = rng.integers(len(data) + 1)
    return data[:place] + data[place : place + rng.integers(1, 200)] * int(rng.integers(1, 4)) + data[place:]


def _other_head(data: bytes, rng: np.random.Generator, others: list[bytes]) -> bytes:
    size = int(rng.integers(1, 200))
    return others[rng.integers(len(others))][:size] + data[size:]


def _other_tail(data: bytes, rng: np.random.Generator, others: list[bytes]) -> bytes:
    return data[: rng.integers(len(data) + 1)] + others[rng.integers(len(others))]


def _wild_header(data: bytes, rng: np.random.Generator, others: list[bytes]) -> bytes:
    place = 4 * int(rng.integers(HEADER_BYTES // 4))
    value = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, int(rng.integers(2**32)))[rng.integers(6)]
    return data[:place] + struct.pack("<>"[rng.integers(2)] + "I", value) + data[place + 4 :]


def _wild_number(data: bytes, rng: np.random.Generator, others: list[bytes]) -> bytes:
    found = list(NUMBER.finditer(data))
    if not found:
        return data
    one = found[rng.integers(len(found))]
    return data[: one.start()] + NUMBERS[rng.integers(len(NUMBERS))] + data[one.end() :]


def _strange(data: bytes, rng: np.random.Generator, others: list[bytes]) -> bytes:
    place = rng.integers(len(data) + 1)
    return data[:place] + STRANGE[rng.integers(len(STRANGE))] + data[place:]


WAYS: tuple[Callable[[bytes, np.random.Generator, list[bytes]], bytes], ...] = (
    _turn_bits,
    _cut_off,
    _cut_out,
    _repeat,
    _other_head,
    _other_tail,
    _wild_header,
    _wild_number,
    _strange,
)


def wav_header(rate: int = 16_000, channels: int = 1, bits: int = 16, tag: int = 1, promised: int = 32_000) -> bytes:
    """Return a WAV with the given header, valid or not, and a second of noise."""
    align = (channels * bits // 8) % 2**16
    form = struct.pack("<HHIIHH", tag, channels, rate, rate * align % 2**32, align, bits)
    body = np.random.default_rng(0).bytes(32_000)
    inner = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", promised) + body
    return b"RIFF" + struct.pack("<I", min(len(inner), 2**32 - 1)) + inner


#: Seconds and rate of small FLAC files with long recordings.
BOMBS = {"bomb of half an hour": (1_800, 8_000), "bomb of ten minutes at 192 kHz": (600, 192_000)}


@cache
def named_audio() -> dict[str, bytes]:
    """Return known attacks: polyglots, false headers, samples that are no sound; for bombs only the names."""
    voice = voice_like(1.0, 16_000)
    good = encoded(voice)
    time_s = np.arange(48_000) / 48_000
    return {
        "nothing": b"",
        "a byte": b"R",
        "zeros": bytes(100_000),
        "no frames": encoded(voice[:0]),
        "one frame": encoded(voice[:1]),
        "not a number": encoded(np.full(16_000, np.nan, np.float32), subtype="FLOAT"),
        "infinity": encoded(np.full(16_000, np.inf, np.float32), subtype="FLOAT"),
        "one infinity": encoded(np.r_[voice, np.inf].astype(np.float32), subtype="FLOAT"),
        "a constant": encoded(np.full(16_000, 0.5, np.float32), subtype="FLOAT"),
        "a voice on a constant": encoded(0.5 * voice + 0.5, subtype="FLOAT"),
        "a million times full scale": encoded(1e6 * voice, subtype="FLOAT"),
        "the largest float": encoded(3e38 * voice, subtype="FLOAT"),
        "the smallest float": encoded(1e-45 * voice, subtype="FLOAT"),
        "one impulse": encoded(np.eye(1, 16_000, 8_000, dtype=np.float32)[0], subtype="FLOAT"),
        "the highest tone": encoded(0.5 * (-1.0) ** np.arange(16_000), subtype="FLOAT"),
        "the lowest rate": encoded(voice_like(1.0, 4_000), 4_000),
        "the highest rate": encoded(np.sin(2 * np.pi * 440 * time_s), 192_000),
        "rate 0": wav_header(rate=0),
        "rate 1": wav_header(rate=1),
        "rate 4294967295": wav_header(rate=2**32 - 1),
        "no channels": wav_header(channels=0),
        "9 channels": wav_header(channels=9),
        "65535 channels": wav_header(channels=65_535),
        "0 bits": wav_header(bits=0),
        "65535 bits": wav_header(bits=65_535),
        "unknown coding": wav_header(tag=0xBEEF),
        "promises 4 GB": wav_header(promised=2**32 - 1),
        "promises nothing": wav_header(promised=0),
        "wave and page": good + b"<script>alert(1)</script>",
        "page and wave": b"<html><!--" + good + b"--></html>",
        "picture and wave": b"\x89PNG\r\n\x1a\n" + good,
        "archive and wave": b"PK\x03\x04" + bytes(26) + good,
        "wave within a wave": good[:44] + good + good,
        "gzip of zeros": b"\x1f\x8b\x08" + bytes(7) + zlib.compress(bytes(10**7))[2:-4],
        "playlist": b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\nhttp://127.0.0.1:1/a.wav\n",
        "list of files": b"ffconcat version 1.0\nfile '/etc/passwd'\n",
        "session description": b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=audio 1 RTP/AVP 0\n",
        **dict.fromkeys(BOMBS, b""),
    }


def audio_named(name: str) -> bytes:
    """Return a known attack by its name; bombs are made on first use, which takes seconds."""
    return bomb(*BOMBS[name]) if name in BOMBS else named_audio()[name]


def texts_that_name_files() -> dict[str, bytes]:
    """Return playlists, manifests, descriptions and scripts that FFmpeg would open as audio."""
    texts = {
        "ffconcat": "ffconcat version 1.0\nfile /etc/passwd\n",
        "concat with inpoint": "ffconcat version 1.0\nfile 'data/recordings/ab'\ninpoint 0\noutpoint 9\n",
        "concat protocol": "concat:/etc/passwd|/etc/hosts",
        "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 0.0.0.0\nt=0 0\nm=audio 40000 RTP/AVP 0\n",
        "hls": "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
        "hls of subfiles": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsubfile,,start,0,end,9,,:/etc/passwd\n",
        "hls key": '#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="file:///etc/passwd"\n#EXTINF:1,\na.ts\n',
        "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet>'
        '<Representation id="1" bandwidth="1"><BaseURL>file:///etc/passwd</BaseURL></Representation></AdaptationSet>'
        "</Period></MPD>",
        "smooth streaming": '<SmoothStreamingMedia><StreamIndex Url="http://127.0.0.1/"/></SmoothStreamingMedia>',
        "imf": '<CompositionPlaylist xmlns="http://www.smpte-ra.org/schemas/2067-3/2016"><Id>urn:uuid:0</Id>'
        "</CompositionPlaylist>",
        "image pattern": "/etc/%03d.png",
        "lavfi": "sine=frequency=440:duration=9",
        "lavfi movie": "amovie=/etc/passwd",
        "ffmetadata": ";FFMETADATA1\ntitle=x\n",
        "subrip": "1\n00:00:00,000 --> 00:00:09,000\nwords\n",
        "webvtt": "WEBVTT\n\n00:00.000 --> 00:09.000\nwords\n",
        "substation": "[Script Info]\nScriptType: v4.00+\n[Events]\n",
        "sami": "<SAMI><BODY><SYNC Start=0>words</BODY></SAMI>",
        "vobsub": "# VobSub index file, v7\nid: en, index: 0\ntimestamp: 00:00:00:000, filepos: 000000000\n",
        "avisynth": 'AviSource("/etc/passwd")\n',
        "vapoursynth": "import vapoursynth\n",
        "data uri": "data:audio/wav;base64,UklGRiQAAABXQVZF",
        "file uri": "file:///etc/passwd",
        "rtsp reference": "RTSPtextrtsp://127.0.0.1/a",
        "pls": "[playlist]\nFile1=http://127.0.0.1/a.mp3\n",
        "xspf": '<playlist xmlns="http://xspf.org/ns/0/"><trackList><track/></trackList></playlist>',
        "asx": '<asx version="3.0"><entry><ref href="http://127.0.0.1/"/></entry></asx>',
        "tee": "[f=wav]/tmp/a|[f=wav]/tmp/b",
    }
    return {kind: text.encode() for kind, text in texts.items()}


@cache
def bomb(seconds: int, rate: int) -> bytes:
    """Return a small FLAC file with a long recording."""
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", rate, 1, "PCM_16", format="FLAC") as out:
        for _ in range(seconds // 10):
            out.write(np.full(10 * rate, 8_192, np.int16))
    return file.getvalue()
