import gzip
import zipfile

import pytest

from skspike.exceptions import EventFormatError
from skspike.io._formats import BY_NAME, FORMATS, detect
from tests.io import evt_files as evt
from tests.io.common import sample, write

SAMPLES = {
    "event_vision_library/faces_easy_0001.bin": "nmnist",
    "expelliarmus/evt2_sample.raw": "evt2",
    "expelliarmus/evt3_sample.raw": "evt3",
    "loris/NCARS_obj_004397_td.dat": "dat",
    "tonic/sample_ncars.dat": "dat",
    "tonic/sample_nmnist.bin": "nmnist",
}


def test_names_are_unique():
    assert len(BY_NAME) == len(FORMATS)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_real_file_is_of_one_format_whatever_its_name(tmp_path, name):
    content = sample(name).read_bytes()
    suffix = ".bin" if SAMPLES[name] == "nmnist" else ".x"
    path = write(tmp_path, f"renamed{suffix}", content)
    assert detect(path).name == SAMPLES[name]
    marked = [format.name for format in FORMATS if format.sniff(content[:4096], tmp_path / "a")]
    assert marked == ([] if SAMPLES[name] == "nmnist" else [SAMPLES[name]])


@pytest.mark.parametrize("encoding", list(evt.HEADERS))
@pytest.mark.parametrize("line", ["evt", "format"])
def test_either_line_of_a_header_tells_the_encoding(tmp_path, encoding, line):
    version = {"evt2": "2.0", "evt2.1": "2.1", "evt3": "3.0"}[encoding]
    value = version if line == "evt" else encoding.upper().replace(".", "") + ";height=1;width=1"
    header = f"% date 2023\n% {line} {value}\n".encode()
    assert detect(evt.raw_file(tmp_path, encoding, [1], header=header)).name == encoding


def test_compressed_files_say_so(tmp_path):
    with gzip.open(tmp_path / "a.raw.gz", "wb") as file:
        file.write(evt.HEADERS["evt3"])
    with pytest.raises(EventFormatError, match=r"it is compressed \(gzip\): unpack it first"):
        detect(tmp_path / "a.raw.gz")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.raw", b"x")
    with pytest.raises(EventFormatError, match=r"it is compressed \(zip\): unpack it first"):
        detect(tmp_path / "a.zip")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", r"it is empty"),
        (b"\x07\x08", r"it begins with b'\\x07\\x08'"),
        (b"% evt 4.0\n% end\n\x00\x01", r"it begins with b'% evt 4.'"),
    ],
)
def test_unknown_files_say_what_they_begin_with(tmp_path, content, said):
    path = write(tmp_path, "a.unknown", content)
    with pytest.raises(EventFormatError, match=said + r".*pass format=, one of \['aedat") as caught:
        detect(path)
    assert (caught.value.path, caught.value.offset) == (str(path), 0)
