"""The published files that are fetched, data sets and weights: names, checksums, mirrors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ganvas.protocols import Split


@dataclass(frozen=True)
class DataFile:
    """One file as its authors published it."""

    name: str
    sha256: str | None = None
    """Of the file as published; None where it is not known."""
    unpacked_sha256: str | None = None
    """Of what a .gz file holds, for those who keep it unpacked."""
    split: Split = "train"
    num_images: int = 0
    """Images in the file; 0 in a file of labels."""


@dataclass(frozen=True)
class Archive:
    """An archive that holds a data set's files."""

    url: str
    checksum: str
    """Algorithm and digest, as "sha256:..."."""
    folder: str
    """Where the files are inside it."""

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]


@dataclass(frozen=True)
class Source:
    """Where a data set's files come from."""

    folder: str
    """Name of the folder that they are kept in."""
    files: tuple[DataFile, ...]
    mirrors: tuple[str, ...] = ()
    """Addresses that end in the file's name, tried in order."""
    archive: Archive | None = None

    def file(self, name: str) -> DataFile:
        return next(file for file in self.files if file.name == name)

    def address(self, file: DataFile) -> str:
        """Where a file, or the archive that holds it, is published."""
        return self.archive.url if self.archive else self.mirrors[0] + file.name


def _idx(prefix: str, split: Split, num_images: int, *digests: str | None) -> tuple[DataFile, ...]:
    """The image and the label file of a split, from the digests of each, packed and unpacked."""
    images, images_unpacked, labels, labels_unpacked = digests
    return (
        DataFile(f"{prefix}-images-idx3-ubyte.gz", images, images_unpacked, split, num_images),
        DataFile(f"{prefix}-labels-idx1-ubyte.gz", labels, labels_unpacked, split),
    )


SOURCES: Final[dict[str, Source]] = {
    "mnist": Source(
        "mnist",
        (
            *_idx(
                "train", "train", 60_000,
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            ),
            *_idx(
                "t10k", "test", 10_000,
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            ),
        ),
        (
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "http://yann.lecun.com/exdb/mnist/",
        ),
    ),
    "fashion-mnist": Source(
        "fashion-mnist",
        (
            *_idx(
                "train", "train", 60_000,
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            ),
            *_idx(
                "t10k", "test", 10_000,
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            ),
        ),
        (
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
        ),
    ),
    "emnist-letters": Source(
        "emnist-letters",
        (
            *_idx("emnist-letters-train", "train", 124_800, None, None, None, None),
            *_idx(
                "emnist-letters-test", "test", 20_800,
                "50f0e93d75b99b463e9760b8345866f22587fa2c2fba472730a5ba09c693412d",
                "d5895e82d14765b22a84342337bc5c25f1affd61cc97d3821d4e65504bbf8dbc",
                "924955c31fe7fd809b7303b5c0141282955f4b8390c74cdfd5d80435e0f4b4cb",
                "22dbcde0a929a7f166bdac863b9195b2994d840a1e082f8f6daaeac5606376a6",
            ),
        ),
        archive=Archive(
            "https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip",
            "md5:58c8d27c78d21e728a6bc7b3cc06412e",
            "gzip",
        ),
    ),
    "cifar10": Source(
        "cifar-10-batches-bin",
        tuple(
            DataFile(name, digest, None, "test" if name.startswith("test") else "train", 10_000)
            for name, digest in (
                ("data_batch_1.bin",
                 "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5"),
                ("data_batch_2.bin",
                 "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed"),
                ("data_batch_3.bin",
                 "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67"),
                ("data_batch_4.bin",
                 "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48"),
                ("data_batch_5.bin",
                 "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add"),
                ("test_batch.bin",
                 "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"),
            )
        ),
        archive=Archive(
            "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
            "sha256:c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            "cifar-10-batches-bin",
        ),
    ),
    "inception": Source(  # weights, not images: metrics.inception reads them
        "inception",
        (
            DataFile(
                "pt_inception-2015-12-05-6726825d.pth",
                "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
            ),
        ),
        ("https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/",),
    ),
}  # fmt: skip
