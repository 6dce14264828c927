"""Sphinx: numpydoc for the API, MyST for the pages, sphinx-gallery for the examples."""

import warnings

import skspike

project = "skspike"
author = "skspike developers"
copyright = f"2026, {author}"
version = release = skspike.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "_templates", "auto_examples/*.ipynb", "auto_examples/*.py"]
templates_path = ["_templates"]
myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

# The API reference is generated from each package's __all__.
autosummary_generate = True
autosummary_ignore_module_all = False
autosummary_imported_members = True
autodoc_typehints = "none"  # numpydoc's type lines say it
numpydoc_class_members_toctree = False
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
numpydoc_validation_checks = set()  # tests/test_house_docstrings.py validates

# Every reference must resolve, except into other projects: a build needs no network.
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(joblib|numpy|sklearn|skorch|torch)\..*")]

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"/(?!plot_)\w+\.py$",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "remove_config_comments": True,
    "show_memory": False,
    "write_computation_times": False,
    "parallel": True,  # as many at a time as -j says
    "plot_gallery": True,
}
suppress_warnings = ["config.cache"]  # sphinx-gallery's settings cannot be pickled

html_theme = "pydata_sphinx_theme"
html_title = f"skspike {version}"
html_static_path = ["_static"]
html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": False, "show_prev_next": False}

# What an example warns about belongs to its page only if it is ours.
warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"(?!skspike)")


def _skip_foreign_member(app, what, name, obj, skip, options):
    """Leave out what a class inherits from torch or scikit-learn: their own pages describe it."""
    function = obj.fget if isinstance(obj, property) else obj
    foreign = not (getattr(function, "__module__", None) or "").startswith("skspike")
    return skip or (what == "class" and foreign)


def setup(app):
    """Connect the filter of inherited members."""
    app.connect("autodoc-skip-member", _skip_foreign_member)
