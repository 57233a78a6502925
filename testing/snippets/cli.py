from tilelang.tt.cli.run import run

print("exit code", run(["explain", "TT98"]))

# Prints:
# exit code 2
