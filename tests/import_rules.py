"""A rule for import-linter: a private module of a sub-package is imported from inside it alone."""

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, output


class PrivateModules(Contract):
    """Break where ``skspike.a._b`` is imported from outside ``skspike.a``.

    Private modules of the root, ``skspike._b``, are for the whole package.
    """

    type_name = "private"

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Look at every import of a private module."""
        broken = [
            f"{importer} -> {module}"
            for module in sorted(graph.modules)
            if module.count(".") > 1 and "._" in module
            for importer in sorted(graph.find_modules_that_directly_import(module))
            if not f"{importer}.".startswith(f"{module.rpartition('._')[0]}.")
        ]
        return ContractCheck(kept=not broken, metadata={"broken": broken})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print one import a line."""
        for line in check.metadata["broken"]:
            output.print_error(line)
