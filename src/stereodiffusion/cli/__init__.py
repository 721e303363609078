"""The command line: parse, call one function, present.

main      the program: commands, errors in one line, exit codes
signals   how it ends when it is interrupted or terminated
commands  text, depth, photo                    models   the table of models
options   what every command takes              inputs   depth and disparity maps, photos
outputs   names of the files that are written   progress a bar on stderr

Nothing here imports torch before a command runs, so that `--help` answers at once.
"""
