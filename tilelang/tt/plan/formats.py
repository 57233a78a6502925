"""How elements are stored, for whoever executes a plan.

Source: tt_metal/hw/inc/internal/tt-1xx/*/tensix_types.h, bfp_utils and ttnn.Tile of ttnn 0.81.1.
"""

TILE_SHAPES = (
    *((height, width) for height in (32, 16) for width in (32, 16)),
    *((height, width) for height in (8, 4, 2, 1) for width in (32, 16)),
)
OWN_FORMATS = {
    "float32": "Float32",
    "float16": "Float16",
    "bfloat16": "Float16_b",
    "int32": "Int32",
    "uint32": "UInt32",
    "uint16": "UInt16",
    "uint8": "UInt8",
    "int8": "Int8",
    "float8_e4m3fn": "Fp8_e4m3",
}
FLOAT_FORMATS = ("Float32", "Float16", "Float16_b", "Bfp8_b", "Bfp4_b")
_BITS = {"Float32": 32, "Float16": 16, "Float16_b": 16, "Bfp4_b": 4, "Int32": 32, "UInt32": 32, "UInt16": 16}


def element_bits(data_format: str) -> int:
    """Bits of an element, without its share of an exponent."""
    return _BITS.get(data_format, 8)


def tile_bytes(data_format: str, tile: tuple[int, int]) -> int:
    """Bytes of a tile; of a block format, exponents of 16 elements each come first, in whole 16 bytes."""
    elements = tile[0] * tile[1]
    exponents = -(-elements // 16 // 16) * 16 if data_format.startswith("Bfp") else 0
    return exponents + elements * element_bits(data_format) // 8
