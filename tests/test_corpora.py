"""Readers of the corpora against names worked by hand and published counts; manifests, hostile ones too."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ser_core.analysis.emotions import COLOURS, EMOTION_SETS
from ser_core.corpora import READERS, corpus_names, read_corpus
from ser_core.corpora.labelled import LabelledRecording, audio_files, files_under, recordings_by_sha256
from ser_core.corpora.listeners import listeners_of_corpora, listeners_recall
from ser_core.errors import CorpusRefused

# --- names ---


@pytest.mark.parametrize(
    ("corpus", "name", "speaker", "emotion", "text", "gender"),
    [
        ("ravdess", "03-01-01-01-01-01-01.wav", "01", "neutral", "01", "male"),
        ("ravdess", "03-01-02-02-02-01-24.wav", "24", "calm", "02", "female"),
        ("ravdess", "03-01-03-01-01-02-07.flac", "07", "happy", "01", "male"),
        ("ravdess", "03-01-04-01-01-02-08.flac", "08", "sad", "01", "female"),
        ("ravdess", "03-01-05-02-01-02-12.wav", "12", "angry", "01", "female"),
        ("ravdess", "03-01-06-02-01-02-12.wav", "12", "fear", "01", "female"),
        ("ravdess", "03-01-07-02-01-02-13.wav", "13", "disgust", "01", "male"),
        ("ravdess", "03-01-08-02-01-02-13.wav", "13", "surprise", "01", "male"),
        ("emodb", "03a01Fa.wav", "03", "happy", "a01", "male"),
        ("emodb", "08b10Wd.flac", "08", "angry", "b10", "female"),
        ("emodb", "09a02Eb.wav", "09", "disgust", "a02", "female"),
        ("emodb", "16a04Ac.wav", "16", "fear", "a04", "female"),
        ("emodb", "10a05Ta.wav", "10", "sad", "a05", "male"),
        ("emodb", "15b03Nc.wav", "15", "neutral", "b03", "male"),
        ("nemo", "SM0_anger_77.wav", "SM0", "angry", "77", None),
        ("nemo", "EB0_happiness_1.opus", "EB0", "happy", "1", None),
        ("nemo", "WR0_neutral_90.opus", "WR0", "neutral", "90", None),
        ("nemo", "WR0_sadness_9.opus", "WR0", "sad", "9", None),
        ("nemo", "WR0_fear_9.opus", "WR0", "fear", "9", None),
        ("nemo", "WR0_surprised_9.opus", "WR0", "surprise", "9", None),
        ("korean_emotional_tts", "ema00001.wav", "ema", "neutral", "neutral-0", None),
        ("korean_emotional_tts", "ema00100.wav", "ema", "neutral", "neutral-99", None),
        ("korean_emotional_tts", "emb00101.wav", "emb", "happy", "neutral-0", None),
        ("korean_emotional_tts", "nea00203.wav", "nea", "angry", "angry-2", None),
        ("korean_emotional_tts", "neo00400.wav", "neo", "sad", "sad-99", None),
        ("tess", "OAF_angry/OAF_back_angry.wav", "OAF", "angry", "back", "female"),
        ("tess", "OAF_disgust/OAF_bar_disgust.wav", "OAF", "disgust", "bar", "female"),
        ("tess", "OAF_Fear/OAF_youth_fear.wav", "OAF", "fear", "youth", "female"),
        ("tess", "YAF_happy/YAF_back_happy.wav", "YAF", "happy", "back", "female"),
        ("tess", "YAF_pleasant_surprised/YAF_food_ps.wav", "YAF", "surprise", "food", "female"),
        ("tess", "OAF_Sad/OAF_back_sad.wav", "OAF", "sad", "back", "female"),
        ("tess", "OAF_neutral/OA_bite_neutral.wav", "OAF", "neutral", "bite", "female"),
        ("savee", "DC/a01.wav", "DC", "angry", "a01", "male"),
        ("savee", "JE/d15.wav", "JE", "disgust", "d15", "male"),
        ("savee", "JK/f02.wav", "JK", "fear", "f02", "male"),
        ("savee", "KL/n30.wav", "KL", "neutral", "n30", "male"),
        ("savee", "DC_a01.wav", "DC", "angry", "a01", "male"),
        ("savee", "ALL/KL_h07.wav", "KL", "happy", "h07", "male"),
        ("savee", "ALL/JE_sa03.wav", "JE", "sad", "sa03", "male"),
        ("savee", "JK/su10.wav", "JK", "surprise", "su10", "male"),
        ("crema_d", "1001_DFA_ANG_XX.wav", "1001", "angry", "DFA", "male"),
        ("crema_d", "1002_IEO_DIS_HI.mp3", "1002", "disgust", "IEO", "female"),
        ("crema_d", "1003_IEO_FEA_LO.wav", "1003", "fear", "IEO", "female"),
        ("crema_d", "1090_IEO_HAP_MD.wav", "1090", "happy", "IEO", "male"),
        ("crema_d", "1091_TSI_NEU_XX.wav", "1091", "neutral", "TSI", "female"),
        ("crema_d", "1040_ITH_SAD_X.wav", "1040", "sad", "ITH", "male"),
        ("urdu", "Angry/SM1_F1_A01.wav", "SM1", "angry", "A01", "male"),
        ("urdu", "Happy/SF6_F10_H034.wav", "SF6", "happy", "H034", "female"),
        ("urdu", "Neutral/SM5_F72_N0100.wav", "SM5", "neutral", "N0100", "male"),
        ("urdu", "Sad/SF11_F4_S06.wav", "SF11", "sad", "S06", "female"),
        ("casia", "liuchanhg/angry/201.wav", "liuchanhg", "angry", "201", None),
        ("casia", "wangzhe/fear/250.wav", "wangzhe", "fear", "250", None),
        ("casia", "zhaoquanyin/surprise/250.wav", "zhaoquanyin", "surprise", "250", None),
        ("casia", "ZhaoZuoxiang/neutral/1.wav", "ZhaoZuoxiang", "neutral", "1", None),
        ("ased", "05Angry/a5-03-01-02-50.wav", "50", "angry", "a03", "male"),
        ("ased", "n1-01-02-01-07.wav", "07", "neutral", "01", "female"),
        ("ased", "f2-02-01-02-65.wav", "65", "fear", "02", "male"),
        ("ased", "h3-01-01-01-07.wav", "07", "happy", "01", "female"),
        ("ased", "S4-04-02-01-29.wav", "29", "sad", "s04", "female"),
    ],
)
def test_a_name_encodes_speaker_emotion_sentence_and_gender(corpus, name, speaker, emotion, text, gender):
    found = READERS[corpus](Path("anywhere") / name)
    assert isinstance(found, LabelledRecording), found
    assert (found.corpus, found.speaker, found.emotion, found.text) == (corpus, speaker, emotion, text)
    assert found.gender == gender
    assert found.speaker_id == f"{corpus}:{speaker}"


@pytest.mark.parametrize(
    ("corpus", "name", "reason"),
    [
        ("ravdess", "03-02-05-01-01-01-01.wav", "song, not speech"),
        ("ravdess", "03-01-09-01-01-01-01.wav", "unknown emotion number 09"),
        ("ravdess", "03-01-00-01-01-01-01.wav", "unknown emotion number 00"),
        ("ravdess", "03-01-05-01-01-01.wav", "name is not of the form 03-01-EE-II-SS-RR-AA"),
        ("ravdess", "03-01-05-01-01-01-1.wav", "name is not of the form 03-01-EE-II-SS-RR-AA"),
        ("emodb", "03a01La.wav", "boredom, which no emotion set holds"),
        ("emodb", "03a01Xa.wav", "unknown emotion letter X"),
        ("emodb", "03a01F.wav", "name is not of the form 03a01Fa"),
        ("emodb", "03c01Fa.wav", "name is not of the form 03a01Fa"),
        ("nemo", "SM0_boredom_77.wav", "unknown emotion boredom"),
        ("nemo", "SM0_anger.wav", "name is not of the form SPEAKER_emotion_sentence"),
        ("korean_emotional_tts", "ema00000.wav", "number 0 is outside 1 to 400"),
        ("korean_emotional_tts", "ema00401.wav", "number 401 is outside 1 to 400"),
        ("korean_emotional_tts", "ema0203.wav", "name is not of the form ema00203"),
        ("tess", "OAF_back.wav", "name is not of the form OAF_word_emotion"),
        ("tess", "XAF_back_angry.wav", "unknown speaker XAF"),
        ("tess", "OAF_back_calm.wav", "unknown emotion calm"),
        ("savee", "DC/a1.wav", "name is not of the form a01 or DC_a01"),
        ("savee", "AudioData/a01.wav", "unknown speaker AudioData"),
        ("savee", "AB_a01.wav", "unknown speaker AB"),
        ("savee", "DC/s01.wav", "unknown emotion letter s"),
        ("crema_d", "1001_DFA_ANG.wav", "name is not of the form 1001_DFA_ANG_XX"),
        ("crema_d", "1001_DFA_ANG_XXX.wav", "name is not of the form 1001_DFA_ANG_XX"),
        ("crema_d", "1092_DFA_ANG_XX.wav", "unknown actor 1092"),
        ("crema_d", "1000_DFA_ANG_XX.wav", "unknown actor 1000"),
        ("crema_d", "1001_DFA_SUR_XX.wav", "unknown emotion SUR"),
        ("urdu", "SX1_F1_A01.wav", "name is not of the form SM1_F1_A01"),
        ("urdu", "SM1_F1_D01.wav", "unknown emotion letter D"),
        ("casia", "201.wav", "path is not of the form speaker/emotion/201"),
        ("casia", "angry/201.wav", "path is not of the form speaker/emotion/201"),
        ("casia", "liuchanhg/angry/201-angry.wav", "path is not of the form speaker/emotion/201"),
        ("casia", "Chang.Liu/angry/201.wav", "unknown speaker Chang.Liu"),
        ("casia", "liuchanhg/bored/201.wav", "unknown emotion bored"),
        ("ased", "a5-03-01-02.wav", "name is not of the form a5-03-01-02-50"),
        ("ased", "d5-03-01-02-50.wav", "unknown emotion letter d"),
        ("ased", "a5-03-01-03-50.wav", "unknown gender number 03"),
    ],
)
def test_file_that_does_not_belong_is_left_out_with_its_reason(corpus, name, reason):
    assert READERS[corpus](Path(name)) == reason


def test_genders_of_the_91_actors_of_crema_d_match_its_table():
    table = (  # VideoDemographics.csv, column Sex, ten actors at a time
        "MFFFMFFFFF MFFMMMMFMF FMMFFMMFFF MMMMMMFMMM MMFMMFFMFM MFFFFFMFMF FMFMMMMMMM MFFFFFMFFM MFMFMMMMFM F"
    ).replace(" ", "")
    genders = [READERS["crema_d"](Path(f"{actor}_DFA_ANG_XX.wav")).gender for actor in range(1001, 1092)]
    assert genders == [{"M": "male", "F": "female"}[letter] for letter in table]
    assert Counter(table) == {"M": 48, "F": 43}


@given(
    corpus=st.sampled_from(sorted(READERS)),
    parts=st.lists(st.text("SMFADCO_-0123456789anghsu", max_size=12), min_size=1, max_size=3),
)
def test_every_name_is_read_or_left_out_with_a_reason(corpus, parts):
    found = READERS[corpus](Path("/".join(parts) + ".wav"))
    assert found if isinstance(found, str) else found.emotion in COLOURS and found.speaker and found.text


def touch_files(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def test_a_corpus_is_read_recursively_in_order_and_left_out_files_are_counted(tmp_path):
    touch_files(
        tmp_path, "b/03a01Fa.wav", "a/03a02Wa.FLAC", "b/03a01La.wav", "c/08a01Lb.wav", "holiday.mp3", "README.md"
    )
    corpus = read_corpus("emodb", tmp_path)
    assert [item.path.name for item in corpus.recordings] == ["03a02Wa.FLAC", "03a01Fa.wav"]
    assert corpus.reasons() == {"boredom, which no emotion set holds": 2, "name is not of the form 03a01Fa": 1}


def test_unknown_corpus_is_refused_and_the_known_ones_are_named(tmp_path):
    with pytest.raises(
        CorpusRefused, match=r"no reader for the corpus 'iemocap'; choose one of ravdess, emodb, nemo, kor"
    ):
        read_corpus("iemocap", tmp_path)


def test_files_in_linked_folders_are_found_once_and_a_link_to_a_parent_ends(tmp_path):
    corpus, elsewhere = tmp_path / "corpus", tmp_path / "elsewhere"
    for folder in (corpus / "sub", elsewhere):
        folder.mkdir(parents=True)
    for file in (corpus / "sub" / "b.wav", elsewhere / "a.wav", elsewhere / "list.csv"):
        file.write_bytes(b"")
    (corpus / "a_link_to_sub").symlink_to(corpus / "sub")
    (corpus / "linked").symlink_to(elsewhere)
    (corpus / "sub" / "up").symlink_to(corpus)
    assert audio_files(corpus) == [corpus / "linked" / "a.wav", corpus / "sub" / "b.wav"]
    assert files_under(corpus)[1] == corpus / "linked" / "list.csv"


@pytest.mark.parametrize("inside", [[], ["README.md", "notes.txt"]])
def test_folder_without_audio_is_refused(tmp_path, inside):
    with pytest.raises(CorpusRefused, match=r"No audio was found under .*; give the folder that holds the corpus nemo"):
        read_corpus("nemo", touch_files(tmp_path, *inside))


def test_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(CorpusRefused, match="No audio was found"):
        read_corpus("nemo", tmp_path / "gone")


def test_folder_of_another_corpus_is_refused_with_a_name_and_the_reason(tmp_path):
    touch_files(tmp_path, "03a01Fa.wav", "03a01Wa.wav")
    with pytest.raises(
        CorpusRefused, match=r"None of the 2 files .* is named as in nemo.*03a01Fa\.wav: name is not of"
    ):
        read_corpus("nemo", tmp_path)


def test_recordings_are_found_by_content_and_of_identical_ones_the_first_counts(tmp_path):
    touch_files(tmp_path, "b/empty.wav", "a/abc.FLAC", "c/the same.mp3", "notes.txt")
    for name in ("a/abc.FLAC", "c/the same.mp3", "notes.txt"):
        (tmp_path / name).write_bytes(b"abc")
    (tmp_path / "folder.wav").mkdir()
    assert recordings_by_sha256(tmp_path) == {  # FIPS 180-2: the digests of "abc" and of nothing
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad": tmp_path / "a/abc.FLAC",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855": tmp_path / "b/empty.wav",
    }
    assert recordings_by_sha256(tmp_path / "gone") == {}


# --- the corpora themselves ---

COUNTS = {
    "ravdess": {"neutral": 96} | dict.fromkeys(("calm", "happy", "sad", "angry", "fear", "disgust", "surprise"), 192),
    "emodb": {"angry": 127, "disgust": 46, "fear": 69, "happy": 71, "sad": 62, "neutral": 79},
    "nemo": {"angry": 749, "fear": 736, "happy": 749, "neutral": 809, "sad": 769, "surprise": 669},
    "korean_emotional_tts": dict.fromkeys(("neutral", "happy", "angry", "sad"), 75),
}
SPEAKERS = {"ravdess": 24, "emodb": 10, "nemo": 9, "korean_emotional_tts": 15}
SENTENCES = {"ravdess": 2, "emodb": 10, "nemo": 90}


@pytest.mark.corpora
@pytest.mark.parametrize("name", COUNTS)
def test_corpus_holds_the_published_recordings_speakers_and_sentences(corpora, name):
    corpus = read_corpus(name, corpora / name)
    assert Counter(item.emotion for item in corpus.recordings) == COUNTS[name]
    assert len({item.speaker for item in corpus.recordings}) == SPEAKERS[name]
    if name in SENTENCES:
        assert len({item.text for item in corpus.recordings}) == SENTENCES[name]
    assert corpus.reasons() == ({"boredom, which no emotion set holds": 81} if name == "emodb" else {})


# --- manifests ---


def manifest(folder: Path, *rows: str, header: str = "path,emotion,speaker", encoding: str = "utf-8") -> Path:
    file = folder / "list.csv"
    file.write_bytes("\n".join([header, *rows, ""]).encode(encoding))
    return file


def test_a_manifest_gives_recordings_sorted_by_path_with_all_its_columns(tmp_path):
    touch_files(tmp_path, "b/2.wav", "a/1.FLAC")
    file = manifest(
        tmp_path,
        "b/2.wav,Sadness, eva ,s1,mine,Polish,F,loud",
        'a/1.FLAC,angry,jan,"Well, no",,,,',
        header="path,Emotion,speaker,text,corpus,language,gender,remark",
        encoding="utf-8-sig",
    )
    corpus = read_corpus("own_data1", file)
    assert (corpus.name, corpus.left_out) == ("own_data1", ())
    jan, eva = corpus.recordings
    assert jan == LabelledRecording(
        (tmp_path / "a/1.FLAC").resolve(), "own_data1", "jan", "angry", "Well, no", "unknown", None
    )
    assert eva == LabelledRecording((tmp_path / "b/2.wav").resolve(), "mine", "eva", "sad", "s1", "Polish", "female")


def test_columns_may_be_in_any_order_and_only_three_are_required(tmp_path):
    touch_files(tmp_path, "1.wav")
    (item,) = read_corpus("x", manifest(tmp_path, "jan,1.wav,fear", header="speaker,path,emotion")).recordings
    assert (item.speaker, item.emotion, item.corpus, item.text, item.gender) == ("jan", "fear", "x", "", None)


@pytest.mark.parametrize(
    ("word", "emotion"),
    [
        *((word, word) for word in COLOURS),
        *(("anger", "angry"), ("Happiness", "happy"), ("JOY", "happy"), ("sadness", "sad")),
        *(("fearful", "fear"), ("surprised", "surprise"), ("disgusted", "disgust")),
    ],
)
def test_common_words_for_an_emotion_are_understood(tmp_path, word, emotion):
    touch_files(tmp_path, "1.wav")
    (item,) = read_corpus("x", manifest(tmp_path, f"1.wav,{word},jan")).recordings
    assert item.emotion == emotion


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("gone.wav,sad,jan", "there is no file 'gone.wav'"),
        ("folder.wav,sad,jan", "there is no file 'folder.wav'"),
        (",sad,jan", "there is no file ''"),
        ("good.wav,sad,eva", "the same file as row 2"),
        ("./folder.wav/../good.wav,sad,eva", "the same file as row 2"),
        ("2.wav,boredom,jan", "boredom, which no emotion set holds"),
        ("2.wav,melancholy,jan", "unknown emotion 'melancholy'"),
        ("2.wav,,jan", "unknown emotion ''"),
        ("2.wav,sad,  ", "no speaker"),
        ("2.wav,sad", "no speaker"),
        ("2.wav", "unknown emotion ''"),
        ("2.wav,sad,jan,eva", "4 cells for 3 columns; put quotes around cells with commas"),
        ("list.csv,sad,jan", "'list.csv' is not audio of the kinds .flac, .mp3, .ogg, .opus, .wav"),
        ("../secret.wav,sad,jan", "'../secret.wav' is not under the manifest's folder"),
        ("folder.wav/../../secret.wav,sad,jan", "'folder.wav/../../secret.wav' is not under the manifest's folder"),
        ("loop.wav,sad,jan", "there is no file 'loop.wav'"),
        ("link.wav,sad,jan", "'link.wav' is not under the manifest's folder"),
        ("/etc/passwd,sad,jan", "'/etc/passwd' is not under the manifest's folder"),
        ("2\0.wav,sad,jan", "there is no file '2\\x00.wav'"),
        (f"{'n' * 5_000}.wav,sad,jan", f"there is no file '{'n' * 5_000}.wav'"),
    ],
)
def test_a_row_without_a_valid_recording_is_left_out_with_number_and_reason(tmp_path, row, reason):
    touch_files(tmp_path, "secret.wav", "data/good.wav", "data/2.wav")
    (tmp_path / "data/folder.wav").mkdir()
    (tmp_path / "data/link.wav").symlink_to(tmp_path / "secret.wav")
    (tmp_path / "data/loop.wav").symlink_to(tmp_path / "data/loop.wav")
    corpus = read_corpus("x", manifest(tmp_path / "data", "good.wav,sad,jan", "", row))
    assert [item.path.name for item in corpus.recordings] == ["good.wav"]
    assert [why for _, why in corpus.left_out] == [f"row 4: {reason}"]


def test_a_row_that_ends_before_its_path_is_left_out(tmp_path):
    touch_files(tmp_path, "good.wav")
    rows = ("angry,bob,good.wav", "angry,bob")
    corpus = read_corpus("x", manifest(tmp_path, *rows, header="emotion,speaker,path"))
    assert [item.path.name for item in corpus.recordings] == ["good.wav"]
    assert [why for _, why in corpus.left_out] == ["row 3: there is no file ''"]


def test_row_whose_corpus_is_not_a_simple_word_is_left_out(tmp_path):
    touch_files(tmp_path, "1.wav", "2.wav")
    file = manifest(tmp_path, "1.wav,sad,jan,a:b", "2.wav,sad,jan,", header="path,emotion,speaker,corpus")
    assert read_corpus("x", file).left_out == (
        (Path("1.wav"), "row 2: the corpus 'a:b' is not lower-case letters, digits and _"),
    )


def test_absolute_path_is_accepted_under_the_folder_of_the_manifest_only(tmp_path):
    touch_files(tmp_path, "data/1.wav", "data2/1.wav")
    file = manifest(tmp_path / "data", f"{tmp_path}/data/1.wav,sad,jan", f"{tmp_path}/data2/1.wav,sad,jan")
    corpus = read_corpus("x", file)
    assert [item.path for item in corpus.recordings] == [(tmp_path / "data/1.wav").resolve()]
    assert "is not under the manifest's folder" in corpus.left_out[0][1]


@given(text=st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters='"'), max_size=40))
def test_no_path_makes_a_file_outside_the_folder_be_read(tmp_path_factory, text):
    folder = tmp_path_factory.mktemp("hostile")
    touch_files(folder, "secret.wav", "data/1.wav")
    corpus = read_corpus(
        "x", manifest(folder / "data", "1.wav,sad,jan", f'"{text}",sad,jan', '"../secret.wav",sad,jan')
    )
    assert {item.path for item in corpus.recordings} == {(folder / "data/1.wav").resolve()}
    assert len(corpus.left_out) == 2


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "has no header; a manifest needs each of path, emotion, speaker once"),
        (b"path,emotion\n1.wav,sad\n", "has the columns path, emotion; a manifest needs each of"),
        (b"path;emotion;speaker\n1.wav;sad;jan\n", "has the columns path;emotion;speaker; .*separated by commas"),
        (b"path,emotion,emotion,speaker\n1.wav,sad,sad,jan\n", "needs each of path, emotion, speaker once"),
        (b"1.wav,sad,jan\n", "has the columns 1.wav, sad, jan; a manifest needs"),
        (b"path,emotion,speaker\n1.wav,sad,J\xf6rg\n", "cannot be read as CSV in UTF-8"),
        (b"path,emotion,speaker\n" + b"x" * 200_000, "cannot be read as CSV in UTF-8"),
        (b"path,emotion,speaker\n", "None of the 0 rows of .* is a valid recording"),
        (b"path,emotion,speaker\nx.wav,sad,jan\n", r"None of the 1 rows of .* \(row 2: there is no file 'x.wav'\)"),
    ],
)
def test_a_file_that_is_not_a_manifest_is_refused_with_what_was_found(tmp_path, content, found):
    touch_files(tmp_path, "1.wav")
    (tmp_path / "list.csv").write_bytes(content)
    with pytest.raises(CorpusRefused, match=found):
        read_corpus("x", tmp_path / "list.csv")


def test_manifest_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(CorpusRefused, match=r"gone\.csv cannot be read"):
        read_corpus("x", tmp_path / "gone.csv")


@pytest.mark.parametrize("name", ["", "My data", "a:b", "../x", "Ü"])
def test_name_that_is_not_a_simple_word_is_refused(tmp_path, name):
    touch_files(tmp_path, "1.wav")
    with pytest.raises(CorpusRefused, match="cannot name a corpus; use lower-case letters, digits and _ only"):
        read_corpus(name, manifest(tmp_path, "1.wav,sad,jan"))


@pytest.mark.parametrize("name", ["csu2021", "csu2022", "aihub"])
def test_corpora_of_the_paper_are_read_from_a_manifest_and_refused_otherwise(tmp_path, name):
    touch_files(tmp_path, "1.wav")
    (item,) = read_corpus(name, manifest(tmp_path, "1.wav,chagrin,p001")).recordings
    assert (item.speaker_id, item.emotion) == (f"{name}:p001", "chagrin")
    with pytest.raises(
        CorpusRefused, match=rf"{name} is not public .* path, emotion, speaker and give {name}=FILE\.csv"
    ):
        read_corpus(name, tmp_path)


# --- listeners' votes ---


def voice_table(folder: Path, rows: dict[str, str]) -> None:
    lines = ['"","FileName","VoiceVote","VoiceLevel"', *(f'"1","{name}","{vote}","60"' for name, vote in rows.items())]
    (folder / "summaryTable.csv").write_text("\n".join(lines))


def crema_d_of(folder: Path, *names: str):
    for name in names:
        (folder / f"{name}.wav").touch()
    return {item.path.stem: item for item in read_corpus("crema_d", folder).recordings}


def test_listeners_votes_are_read_from_a_table_below_the_corpus(tmp_path):
    (tmp_path / "AudioWAV").mkdir()
    (tmp_path / "processedResults").mkdir()
    names = ("1001_DFA_ANG_XX", "1001_DFA_SAD_XX", "1001_DFA_HAP_XX", "1040_ITH_SAD_X")
    votes = {"1001_DFA_ANG_XX": "A", "1001_DFA_SAD_XX": "N:S", "1040_ITH_SAD_XX": "N"}
    voice_table(tmp_path / "processedResults", votes)
    for name in names:
        (tmp_path / "AudioWAV" / f"{name}.wav").touch()
    found = {item.path.stem: item for item in read_corpus("crema_d", tmp_path).recordings}
    assert [found[name].perceived_as for name in names] == [("angry",), ("neutral", "sad"), None, ("neutral",)]
    assert [found[name].unrecognised for name in names] == [False, False, False, True]


def test_without_the_table_there_are_no_listeners_votes(tmp_path):
    (item,) = crema_d_of(tmp_path, "1001_DFA_ANG_XX").values()
    assert item.perceived_as is None
    assert not item.unrecognised


@pytest.mark.parametrize("table", ["a,b\n1,2\n", '"FileName","VoiceVote"\n"1001_DFA_ANG_XX","Q"\n', "\xff"])
def test_an_invalid_table_of_votes_is_refused_by_name(tmp_path, table):
    (tmp_path / "summaryTable.csv").write_text(table, encoding="latin-1")
    with pytest.raises(CorpusRefused, match=r"summaryTable\.csv is not the table of CREMA-D's listeners"):
        crema_d_of(tmp_path, "1001_DFA_ANG_XX")


def test_recall_of_listeners_worked_by_hand():
    def perceived(emotion, *choices):
        return LabelledRecording(Path("x"), "a", "s", emotion, "t", "English", perceived_as=choices or None)

    recordings = [
        perceived("angry", "angry"),
        perceived("angry", "angry", "sad"),  # a tie names neither
        perceived("angry", "neutral"),
        perceived("angry", "angry"),
        perceived("sad", "neutral"),
        perceived("sad", "sad"),
        perceived("sad"),  # nobody listened
        perceived("fear", "fear"),  # not among these emotions
    ]
    found = listeners_recall(recordings, ("angry", "happy", "sad"))
    assert found == {"recall": {"angry": 0.5, "sad": 0.5}, "uar": 0.5, "recordings": {"angry": 4, "sad": 2}}
    assert listeners_recall([perceived("sad")], ("angry", "sad")) is None
    assert listeners_of_corpora([perceived("sad"), *recordings], ("angry", "sad")).keys() == {"a"}


@pytest.mark.corpora
def test_listeners_name_half_of_the_four_emotions_of_crema_d_and_43_percent_of_its_six(corpora):
    recordings = read_corpus("crema_d", corpora / "crema_d").recordings
    four = listeners_recall(recordings, EMOTION_SETS["core4"])
    percents = {emotion: round(100 * recall, 1) for emotion, recall in four["recall"].items()}
    assert percents == {"angry": 60.6, "happy": 26.0, "neutral": 95.7, "sad": 16.5}
    assert round(100 * four["uar"], 1) == 49.7  # of the six that CREMA-D has: 0.4295
    assert round(100 * listeners_recall(recordings, EMOTION_SETS["seven"])["uar"], 1) == 42.9


# --- which corpora there are ---


def test_corpora_of_a_manifest_are_those_in_its_column_that_have_a_wanted_emotion(tmp_path):
    rows = ["path,emotion,speaker,corpus", "a.wav,sad,ann,left", "b.wav,sad,bob,right", "c.wav,fear,bob,third"]
    for name in "abc":
        (tmp_path / f"{name}.wav").touch()
    (tmp_path / "list.csv").write_text("\n".join(rows))
    folders = {"made": str(tmp_path / "list.csv"), "emodb": "anywhere"}
    assert corpus_names(folders, ("angry", "sad")) == ["emodb", "left", "right"]
    assert corpus_names(folders, ("fear",)) == ["emodb", "third"]
