"""PlatformIO without the network: ``python pio.py pkg pack FOLDER``, as ``pio pkg pack FOLDER``.

PlatformIO checks the license of a manifest against a list that it fetches. Here the identifiers are
those of the package license-expression, which holds the same list of SPDX.
"""

from __future__ import annotations

import sys

from license_expression import get_spdx_licensing
from platformio.__main__ import main
from platformio.package.manifest.schema import ManifestSchema


def _known_licenses() -> dict[str, list[dict[str, str]]]:
    return {"licenses": [{"licenseId": name} for name in get_spdx_licensing().known_symbols]}


if __name__ == "__main__":
    ManifestSchema.load_spdx_licenses = staticmethod(_known_licenses)
    sys.exit(main())
