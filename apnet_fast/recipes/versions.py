"""Tell ApogeeNet's versions apart, as far as labels and catalogues are concerned; without torch."""

from __future__ import annotations

from dataclasses import dataclass

from apnet_fast.support.errors import UsageError


@dataclass(frozen=True)
class NetworkVersion:
    """Describe one version of ApogeeNet.

    outputs: names of the network's three outputs, in their order; log_teff is log10 of K, teff is in K.
    default_draws: noise realisations per spectrum in the upstream code.
    photometry: whether the network has a second input; see `recipes.photometry`.
    medians: whether its products always hold the medians of the draws beside the labels.
    """

    name: str
    outputs: tuple[str, str, str]
    default_draws: int
    photometry: bool = False
    medians: bool = False

    @property
    def title(self) -> str:
        """Return the name used in messages, such as "ApogeeNet v3"."""
        return f"ApogeeNet {self.name}"


VERSIONS: dict[str, NetworkVersion] = {
    version.name: version
    for version in (
        NetworkVersion("v3", ("logg", "log_teff", "fe_h"), default_draws=20),
        NetworkVersion("v2", ("logg", "log_teff", "fe_h"), default_draws=100, photometry=True, medians=True),
        NetworkVersion("v1", ("logg", "teff", "fe_h"), default_draws=100),
    )
}


def network_version(name: str) -> NetworkVersion:
    """Return the version of that name. Raises UsageError for an unknown one."""
    if name not in VERSIONS:
        raise UsageError("unknown network", got=repr(name), expected=" | ".join(VERSIONS), remedy="--network v3")
    return VERSIONS[name]
