"""Datasets: ``load_*`` reads what is there, ``make_*`` invents, ``fetch_*`` downloads once."""

from ._asl_dvs import fetch_asl_dvs
from ._cifar10_dvs import fetch_cifar10_dvs
from ._copy_task import make_copy_task
from ._data_home import get_data_home
from ._ddd17 import fetch_ddd17
from ._digits import load_digits_events
from ._dsec import fetch_dsec
from ._dvs_gesture import fetch_dvs_gesture
from ._dvs_lip import fetch_dvs_lip
from ._event_folder import load_event_folder
from ._gen1 import fetch_gen1
from ._heidelberg import fetch_shd, fetch_ssc
from ._listops import make_listops
from ._lra import fetch_lra
from ._mvsec import fetch_mvsec
from ._ncaltech101 import fetch_ncaltech101
from ._ncars import fetch_ncars
from ._nmnist import fetch_nmnist
from ._pathfinder_like import make_pathfinder_like
from ._scifar import fetch_scifar
from ._sequential_digits import load_sequential_digits
from ._shapes import make_moving_shapes
from ._smnist import fetch_smnist
from ._speech_commands import fetch_speech_commands
from ._wikitext import fetch_wikitext

__all__ = [
    "fetch_asl_dvs",
    "fetch_cifar10_dvs",
    "fetch_ddd17",
    "fetch_dsec",
    "fetch_dvs_gesture",
    "fetch_dvs_lip",
    "fetch_gen1",
    "fetch_mvsec",
    "fetch_lra",
    "fetch_ncaltech101",
    "fetch_ncars",
    "fetch_nmnist",
    "fetch_scifar",
    "fetch_shd",
    "fetch_smnist",
    "fetch_speech_commands",
    "fetch_ssc",
    "fetch_wikitext",
    "get_data_home",
    "load_digits_events",
    "load_event_folder",
    "load_sequential_digits",
    "make_copy_task",
    "make_listops",
    "make_moving_shapes",
    "make_pathfinder_like",
]
