"""Integration tests for WS2 metadata inference passes.

The seed's file, with all its classes and cases under their names. It differs where the seed names what does not exist:

- ``tvm.tir`` is ``tvm.tirx`` on every supported host.
- ``PrimFunc(..., buffer_map={})`` is left out: from TVM 0.26 on a PrimFunc has no such argument, and with an empty map
  the parameters would be no buffers.
- TVM's buffers have no ``attrs``, and ``func.params`` is not indexed by name: ``buffer_attrs(func, "A")`` gives the
  mapping that the seed reads from ``buffer.attrs``.
- No test is skipped where the package cannot be imported: then all fail.
- The seed's kernels are float16, which the package warns of; ``test_infer_tt_shard.py`` tests the warning.
"""

import pytest
import tvm
from tvm import tirx

from tilelang.tt import apply_tt_defaults, buffer_attrs, infer_default_tt_schedule, infer_default_tt_shard

pytestmark = [pytest.mark.stage("metadata"), pytest.mark.filterwarnings("ignore::tilelang.tt.errors.FormatWarning")]


def create_simple_gemm_primfunc(M=256, N=256, K=256):
    """Create a simple GEMM PrimFunc for testing.

    This is a minimal version for metadata testing - not a full TileLang GEMM.
    """
    # Create buffer parameters
    A = tirx.decl_buffer((M, K), "float16", name="A")
    B = tirx.decl_buffer((K, N), "float16", name="B")
    C = tirx.decl_buffer((M, N), "float16", name="C")

    # Create a minimal PrimFunc with T.Kernel metadata
    # (Actual kernel body not important for metadata testing)
    block_size = 32
    grid_x = (N + block_size - 1) // block_size
    grid_y = (M + block_size - 1) // block_size

    func = tirx.PrimFunc(
        params=[A, B, C],
        body=tirx.Evaluate(0),  # Dummy body for testing
    )

    # Add T.Kernel metadata (simulating TileLang lowering)
    func = func.with_attr("tl_grid_x", grid_x)
    func = func.with_attr("tl_grid_y", grid_y)
    func = func.with_attr("global_symbol", "gemm")

    return func  # noqa: RET504


@pytest.mark.stage("schedule")
class TestScheduleInference:
    """Tests for schedule inference pass."""

    def test_schedule_inference_aligned_grid(self):
        """Test schedule inference on tile-aligned 256x256 GEMM."""
        func = create_simple_gemm_primfunc(M=256, N=256, K=256)

        # Apply WS1 defaults
        func = apply_tt_defaults(tvm.IRModule({"main": func}))["main"]

        # Apply WS2 schedule inference
        func = infer_default_tt_schedule(func)

        # Verify schedule metadata
        assert "tt_num_tiles" in func.attrs
        assert "tt_grid_x" in func.attrs
        assert "tt_grid_y" in func.attrs
        assert "tt_tiles_per_core" in func.attrs

        # Grid: 256/32 = 8x8 = 64 tiles
        assert func.attrs["tt_num_tiles"] == 64
        assert func.attrs["tt_grid_x"] == 8
        assert func.attrs["tt_grid_y"] == 8

        # With 64 cores, each core gets 1 tile
        tiles_per_core = func.attrs["tt_tiles_per_core"]
        assert len(tiles_per_core) == 64
        # Each core: [start_id, count=1]
        assert all(range_info[1] == 1 for range_info in tiles_per_core)

    def test_schedule_inference_uneven_distribution(self):
        """Test schedule inference with more tiles than cores."""
        # 512x512 grid = 16x16 = 256 tiles, 64 cores
        func = create_simple_gemm_primfunc(M=512, N=512, K=512)
        func = apply_tt_defaults(tvm.IRModule({"main": func}))["main"]
        func = infer_default_tt_schedule(func)

        assert func.attrs["tt_num_tiles"] == 256

        tiles_per_core = func.attrs["tt_tiles_per_core"]
        assert len(tiles_per_core) == 64

        # 256 tiles / 64 cores = 4 tiles per core
        assert all(range_info[1] == 4 for range_info in tiles_per_core)

    def test_schedule_inference_single_tile(self):
        """Test schedule inference with single tile (1x1 grid)."""
        func = create_simple_gemm_primfunc(M=32, N=32, K=32)
        func = apply_tt_defaults(tvm.IRModule({"main": func}))["main"]
        func = infer_default_tt_schedule(func)

        assert func.attrs["tt_num_tiles"] == 1

        tiles_per_core = func.attrs["tt_tiles_per_core"]
        # Only core 0 active
        assert tiles_per_core[0][1] == 1  # count=1
        # Other cores inactive
        assert all(range_info[1] == 0 for range_info in tiles_per_core[1:])


@pytest.mark.stage("shard")
class TestShardInference:
    """Tests for sharding inference pass."""

    def test_shard_inference_aligned_dimensions(self):
        """Test shard inference on tile-aligned matrices."""
        func = create_simple_gemm_primfunc(M=256, N=256, K=256)
        func = apply_tt_defaults(tvm.IRModule({"main": func}))["main"]
        func = infer_default_tt_schedule(func)
        func = infer_default_tt_shard(func)

        # Check buffer metadata (A, B, C)
        for param_name in ["A", "B", "C"]:
            attrs = buffer_attrs(func, param_name)
            assert "tt_layout" in attrs
            assert attrs["tt_layout"] == "dram_interleaved"
            assert "tt_tile_shape" in attrs
            assert attrs["tt_tile_shape"] == [32, 32]
            assert "tt_needs_padding" in attrs
            assert attrs["tt_needs_padding"] == False  # noqa: E712  # 256 is multiple of 32

    def test_shard_inference_nonaligned_dimensions(self):
        """Test shard inference on non-tile-aligned matrices."""
        func = create_simple_gemm_primfunc(M=100, N=100, K=100)
        func = apply_tt_defaults(tvm.IRModule({"main": func}))["main"]
        func = infer_default_tt_schedule(func)
        func = infer_default_tt_shard(func)

        # Check buffer A [100, 100]
        attrs = buffer_attrs(func, "A")
        assert attrs["tt_needs_padding"] == True  # noqa: E712
        assert "tt_padded_shape" in attrs
        # 100 → ceil(100/32) = 4 tiles → 128 padded
        assert attrs["tt_padded_shape"] == [128, 128]
        assert attrs["tt_num_tiles_height"] == 4
        assert attrs["tt_num_tiles_width"] == 4

    def test_shard_inference_rectangular_matrix(self):
        """Test shard inference on rectangular (non-square) matrices."""
        func = create_simple_gemm_primfunc(M=512, N=256, K=128)
        func = apply_tt_defaults(tvm.IRModule({"main": func}))["main"]
        func = infer_default_tt_schedule(func)
        func = infer_default_tt_shard(func)

        # A: [512, 128] → [16, 4] tiles
        attrs_A = buffer_attrs(func, "A")
        assert attrs_A["tt_num_tiles_height"] == 16
        assert attrs_A["tt_num_tiles_width"] == 4

        # B: [128, 256] → [4, 8] tiles
        attrs_B = buffer_attrs(func, "B")
        assert attrs_B["tt_num_tiles_height"] == 4
        assert attrs_B["tt_num_tiles_width"] == 8

        # C: [512, 256] → [16, 8] tiles
        attrs_C = buffer_attrs(func, "C")
        assert attrs_C["tt_num_tiles_height"] == 16
        assert attrs_C["tt_num_tiles_width"] == 8


class TestEndToEndPipeline:
    """Test complete WS1 + WS2 pipeline."""

    def test_full_metadata_pipeline(self):
        """Test complete pipeline: defaults → schedule → shard."""
        # Start with raw PrimFunc
        func = create_simple_gemm_primfunc(M=256, N=256, K=256)
        mod = tvm.IRModule({"main": func})

        # WS1: Apply defaults
        mod = apply_tt_defaults(mod)
        func = mod["main"]
        assert "tt_schedule_policy" in func.attrs
        assert "tt_layout_type" in func.attrs

        # WS2: Infer schedule
        mod = infer_default_tt_schedule(mod)
        func = mod["main"]
        assert "tt_num_tiles" in func.attrs
        assert "tt_tiles_per_core" in func.attrs

        # WS2: Infer shard
        mod = infer_default_tt_shard(mod)
        func = mod["main"]

        # Verify all metadata present
        assert "tt_schedule_policy" in func.attrs  # WS1
        assert "tt_num_tiles" in func.attrs  # WS2 schedule
        for param in func.params:
            assert "tt_layout" in buffer_attrs(func, param)  # WS2 shard

    def test_pipeline_preserves_existing_metadata(self):
        """Test that pipeline preserves earlier metadata."""
        func = create_simple_gemm_primfunc(M=128, N=128, K=128)
        mod = tvm.IRModule({"main": func})

        # Apply full pipeline
        mod = apply_tt_defaults(mod)
        mod = infer_default_tt_schedule(mod)
        mod = infer_default_tt_shard(mod)

        func = mod["main"]

        # Verify WS1 defaults still present after WS2
        assert func.attrs["tt_schedule_policy"] == "contiguous"
        assert func.attrs["tt_layout_type"] == "dram_interleaved"

        # Verify WS2 schedule still present after shard
        assert "tt_num_tiles" in func.attrs
        assert "tt_tiles_per_core" in func.attrs
