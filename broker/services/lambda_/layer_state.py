"""The layers of a broker by name, and their records in the store."""

from typing import Final

import msgspec

from broker.services.lambda_.errors import ResourceNotFound
from broker.services.runtime import Runtime
from broker.store.base import Recovered

LAYER_KIND: Final = "lambda-layer"


class LayerVersion(msgspec.Struct):
    """One version. `code`: its directory in the code store."""

    number: int
    code: str
    code_sha256: str
    code_size: int
    created_at_ms: int
    description: str = ""
    runtimes: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()
    license_info: str | None = None


class LayerRecord(msgspec.Struct):
    """A layer with its versions. Numbers are never used again."""

    account: str
    region: str
    name: str
    versions: dict[int, LayerVersion]
    next_version: int = 1

    @property
    def arn(self) -> str:
        return f"arn:aws:lambda:{self.region}:{self.account}:layer:{self.name}"


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(LayerRecord)


class Layers:
    """See the module's text. Every method is one part of a synchronous engine call."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self._layers: dict[tuple[str, str, str], LayerRecord] = {}

    def recover(self, recovered: Recovered) -> None:
        for (kind, _), stored in recovered.resources.items():
            if kind == LAYER_KIND:
                layer = _decoder.decode(stored)
                self._layers[layer.account, layer.region, layer.name] = layer

    def forget(self) -> None:
        self._layers.clear()

    def reset(self) -> None:
        for layer in self._layers.values():
            self.runtime.ledger.batch.delete_resource(LAYER_KIND, layer.arn)
        self._layers.clear()

    def get(self, account: str, region: str, name: str) -> LayerRecord | None:
        return self._layers.get((account, region, name))

    def of_place(self, account: str, region: str) -> list[LayerRecord]:
        """An account's layers in a region, by name."""
        found = [layer for layer in self._layers.values() if (layer.account, layer.region) == (account, region)]
        return sorted(found, key=lambda layer: layer.name)

    def find_version(self, account: str, region: str, name: str, number: int) -> tuple[LayerRecord, LayerVersion]:
        """Raises ResourceNotFound."""
        layer = self.get(account, region, name)
        version = None if layer is None else layer.versions.get(number)
        if layer is None or version is None:
            raise ResourceNotFound("The resource you requested does not exist.")
        return layer, version

    def find_by_arn(self, arn: str) -> LayerVersion | None:
        """The version that a layer version's ARN names; None where it is gone."""
        parts = arn.split(":")
        layer = self.get(parts[4], parts[3], parts[6]) if len(parts) == 8 else None
        return None if layer is None or not parts[7].isdigit() else layer.versions.get(int(parts[7]))

    def publish(self, account: str, region: str, name: str, version: LayerVersion) -> tuple[LayerRecord, LayerVersion]:
        """Give a version its number."""
        layer = self.get(account, region, name)
        if layer is None:
            layer = self._layers[account, region, name] = LayerRecord(account, region, name, {})
        version.number = layer.next_version
        layer.next_version += 1
        layer.versions[version.number] = version
        self._record(layer)
        return layer, version

    def delete(self, account: str, region: str, name: str, number: int) -> None:
        """Forget a version; one that does not exist is forgotten already."""
        layer = self.get(account, region, name)
        if layer is not None and layer.versions.pop(number, None) is not None:
            self._record(layer)

    def codes(self) -> set[str]:
        """The code that versions hold."""
        return {version.code for layer in self._layers.values() for version in layer.versions.values()}

    def _record(self, layer: LayerRecord) -> None:
        self.runtime.ledger.batch.put_resource(LAYER_KIND, layer.arn, _encoder.encode(layer))
