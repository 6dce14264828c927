import pytest

from skspike.exceptions import EventFormatError
from skspike.io._log import DecodeLog
from skspike.io._prophesee import Header, parse_header, read_header, sensor_size
from tests.io.common import write


def test_a_header_ends_where_its_lines_do():
    head = b"% Date 2020-09-25\n% evt 3.0\r\n% serial_number\n\x2d\x8b% no line"
    assert parse_header(head) == Header(
        {"date": "2020-09-25", "evt": "3.0", "serial_number": ""}, head.index(b"\x2d\x8b")
    )
    assert parse_header(b"% evt 3.0\n% end\n% data\n").stop == len(b"% evt 3.0\n% end\n")
    assert parse_header(b"") == parse_header(b"x % evt 3.0\n") == Header({}, 0)
    assert parse_header(b"% \x00\x01\n").stop == 0


def test_a_long_header_is_read_whole(tmp_path):
    lines = b"".join(b"% key" + str(i).encode() + b" " + b"v" * 70 + b"\n" for i in range(200))
    path = write(tmp_path, "long.raw", lines + b"% end\n\x00\x01")
    assert read_header(path).stop == len(lines) + len(b"% end\n")
    assert len(read_header(path).fields) == 200


@pytest.mark.parametrize(
    ("fields", "size"),
    [
        ({"geometry": "1280x720"}, (1280, 720)),
        ({"format": "EVT3;height=720;width=1280"}, (1280, 720)),
        ({"width": "304", "height": "240"}, (304, 240)),
        ({"plugin_name": "hal_plugin_gen3_fx3"}, (640, 480)),
        ({"plugin_name": "hal_plugin_gen31_evk3"}, (640, 480)),
        ({"plugin_name": "hal_plugin_gen41_evk3"}, (1280, 720)),
        ({"plugin_name": "hal_plugin_imx636_evk4"}, (1280, 720)),
        ({"sensor_name": "GenX320"}, (320, 320)),
        ({"sensor_generation": "4.2"}, (1280, 720)),
        ({"generation": "3.1"}, (640, 480)),
        ({"evt": "3.0"}, None),
        ({"width": "304"}, None),
    ],
)
def test_the_sensor_is_that_of_the_header(fields, size):
    assert sensor_size(Header(fields, 0), DecodeLog("file", False)) == size


@pytest.mark.parametrize("geometry", ["0x720", "1280x", "1280x-1", "ax b", "99999x3", "1x2x3"])
def test_a_size_that_no_sensor_has_is_a_damage(geometry):
    header = Header({"geometry": geometry}, 20)
    with pytest.raises(EventFormatError, match=r"its header states no size that a sensor can have"):
        sensor_size(header, DecodeLog("file", False))
    assert sensor_size(header, DecodeLog("file", True)) is None
