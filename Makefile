# segment_braze: Segment calls in PostgreSQL, delivered to Braze
#
#   make && make install && make installcheck     as for any extension
#   dev/check                                     everything, from a bare machine

EXTENSION = segment_braze
MODULE_big = segment_braze
OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c)))
DATA = $(wildcard sql/*--*.sql)
PGFILEDESC = "segment_braze - Segment calls in PostgreSQL, delivered to Braze"
SHLIB_LINK = -lcurl -ljson-c

# test/sql and test/specs are the input, expected/ has the output of both
REGRESS = $(patsubst test/sql/%.sql,%,$(sort $(wildcard test/sql/*.sql)))
REGRESS_OPTS = --inputdir=test
ISOLATION = $(patsubst test/specs/%.spec,%,$(sort $(wildcard test/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test --outputdir=.

# the TAP tests talk to the stand-in: they run once "make -C test/braze" has built it
TAP_TESTS := $(wildcard test/braze/braze-standin)
PROVE_TESTS = test/t/*.pl

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# every object may depend on any of our headers; a full build takes seconds
$(OBJS): $(wildcard src/*.h)
