# segment_braze: Segment calls in PostgreSQL, delivered to Braze
#
#   make && make install && make installcheck     as for any extension
#   dev/check                                     everything, from a bare machine

ifeq ($(wildcard segment_braze.control),)
$(error run make in the directory that has segment_braze.control: a build outside of it is not supported)
endif

EXTENSION = segment_braze
MODULE_big = segment_braze
OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c src/*/*.c)))
DATA = $(wildcard sql/*--*.sql) sql/segment_braze_report.sql client/segment_braze_client.sql
DATA += sql/segment_braze_problems.sql
# for Prometheus and Grafana, which run elsewhere
DOCS = $(wildcard monitoring/segment_braze_*.yml) monitoring/grafana/segment_braze.json
PGFILEDESC = "segment_braze - Segment calls in PostgreSQL, delivered to Braze"
SHLIB_LINK = -lcurl -ljson-c

# only what PostgreSQL looks up is exported; before 16 that needs saying.
# "override": flags of the command line are added, and replace none of ours
override PG_CFLAGS += -fvisibility=hidden
version := $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" $(EXTENSION).control)
override PG_CPPFLAGS += -I$(srcdir)/src '-DPGDLLEXPORT=__attribute__((visibility("default")))' '-DBRAZE_VERSION="$(version)"'

# test/sql and test/specs are the input, expected/ has the output of both
REGRESS = $(patsubst test/sql/%.sql,%,$(sort $(wildcard test/sql/*.sql)))
REGRESS_OPTS = --inputdir=test
ISOLATION = $(patsubst test/specs/%.spec,%,$(sort $(wildcard test/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test --outputdir=.

# the TAP tests talk to the stand-in: they run once "make -C test/braze" has built it
TAP_TESTS := $(wildcard test/braze/braze-standin)
PROVE_TESTS = test/t/*.pl

EXTRA_CLEAN = $(EXTENSION)-*.zip output_iso

PG_CONFIG ?= pg_config
# the folders in plain C do not see the server's pg_config.h
ifneq ($(findstring --enable-cassert,$(shell $(PG_CONFIG) --configure)),)
override PG_CPPFLAGS += -DUSE_ASSERT_CHECKING=1
endif
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# every object may depend on any of our headers; a full build takes seconds
$(OBJS): $(wildcard src/*/*.h)

# PGXS looks for them where they were in the source, and leaves them
uninstall: uninstall-docs
uninstall-docs:
	rm -f $(addprefix '$(DESTDIR)$(docdir)/$(docmoduledir)'/, $(notdir $(DOCS)))

# the archive for PGXN: what is committed
dist:
	git archive --format zip --prefix=$(EXTENSION)-$(version)/ -o $(EXTENSION)-$(version).zip HEAD

.PHONY: dist uninstall-docs
