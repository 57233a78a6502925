"""What hypothesis draws."""

from hypothesis import strategies as st

ORDERS = ("row_major", "column_major")


@st.composite
def core_sets(draw):
    """Up to three disjoint rectangles: pieces of a strip, one beside the other, in any order."""
    rectangles, x = [], 0
    for _ in range(draw(st.integers(1, 3))):
        x += draw(st.integers(0, 2))
        width, height, y = draw(st.integers(1, 5)), draw(st.integers(1, 5)), draw(st.integers(0, 3))
        rectangles.append([x, y, x + width - 1, y + height - 1])
        x += width
    return draw(st.permutations(rectangles))
