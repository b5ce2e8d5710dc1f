# Everything by name; `make help` lists it. Each target installs what it needs and is missing (tools/bootstrap.sh).
.DEFAULT_GOAL := build
.PHONY: build test demo bench format docs soak clean help

build:  ## the program build/attend, its libraries, the Python package
	@tools/bootstrap.sh build
	@tools/build.sh release products

test:  ## everything that must hold: tests, sanitizers, fuzzers, format, lint
	@tools/bootstrap.sh build test
	@python3 tools/test.py

soak:  ## the long forms: ten minutes a fuzzer, every kill instant, clang-tidy on all files
	@tools/bootstrap.sh build test
	@python3 tools/test.py --soak

demo: build  ## learns to read dates in a minute or two and shows what it looks at
	@examples/dates/demo.sh

bench:  ## the benchmarks; every run leaves docs/results/<name>.json
	@tools/bootstrap.sh build test bench
	@tools/build.sh release
	@tools/bench.sh

docs: build  ## regenerates the generated pages of docs/
	@tools/docs.sh

format:  ## lays out the C++ files
	@tools/bootstrap.sh format
	@tools/format.sh

clean:  ## deletes what was built; .venv stays
	rm -rf build build-python build-debug build-sanitize build-lint demo

help:  ## this list
	@sed -n 's/^\([a-z]*\):[^#]*## /make \1	/p' Makefile | expand -t 14
