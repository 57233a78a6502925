import contextlib
import io

from tilelang.tt import explain

with contextlib.redirect_stdout(io.StringIO()) as page:
    explain("TT985")
print(page.getvalue().splitlines()[0])

# Prints:
# # TT985: No channel of the log of that name
