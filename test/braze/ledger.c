/*-------------------------------------------------------------------------
 *
 * ledger.c
 *	  What happened, as JSON lines in a file that outlives the process.
 *
 *-------------------------------------------------------------------------
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "standin.h"

bool
standin_ledger_open(Ledger *ledger, const char *file)
{
	memset(ledger, 0, sizeof(*ledger));
	ledger->fd = -1;
	if (file == NULL)
		return true;
	ledger->fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	if (ledger->fd < 0)
	{
		perror(file);
		return false;
	}
	standin_buffer_printf(&ledger->lines, "{\"line\":\"start\",\"pid\":%d,\"ms\":%lld}\n",
						  (int) getpid(), (long long) standin_now());
	standin_ledger_write(ledger);
	return true;
}

void
standin_ledger_close(Ledger *ledger)
{
	standin_ledger_write(ledger);
	if (ledger->fd >= 0)
		close(ledger->fd);
	ledger->fd = -1;
	standin_buffer_free(&ledger->lines);
}

/* a ledger with a gap would prove things that are not so */
void
standin_ledger_write(Ledger *ledger)
{
	const char *rest = ledger->lines.data;
	size_t		left = ledger->lines.length;

	while (left > 0)
	{
		ssize_t		written = write(ledger->fd, rest, left);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
		{
			perror("braze-standin: the ledger");
			exit(1);
		}
		rest += written;
		left -= (size_t) written;
	}
	ledger->lines.length = 0;
}

void
standin_ledger_request(Ledger *ledger, const Request *request)
{
	if (ledger->fd < 0)
		return;
	standin_buffer_printf(&ledger->lines, "{\"line\":\"request\",\"request\":%ld,"
						  "\"connection\":%ld,\"ms\":%lld,\"path\":", request->number,
						  standin_connection_number(request->connection),
						  (long long) standin_now());
	standin_buffer_quote(&ledger->lines, request->url);
	standin_buffer_puts(&ledger->lines, ",\"key\":");
	standin_buffer_quote(&ledger->lines, standin_http_key(request));
	standin_buffer_puts(&ledger->lines, "}\n");
}

void
standin_ledger_object(Ledger *ledger, const Entry *entry)
{
	if (ledger->fd < 0)
		return;
	standin_buffer_puts(&ledger->lines, "{\"line\":\"object\",");
	standin_journal_print_entry(entry, &ledger->lines);
	standin_buffer_puts(&ledger->lines, "}\n");
}

void
standin_ledger_answer(Ledger *ledger, const Request *request)
{
	const Answer *answer = &request->answer;

	if (ledger->fd < 0)
		return;
	standin_buffer_printf(&ledger->lines, "{\"line\":\"answer\",\"request\":%ld,"
						  "\"ms\":%lld,\"status\":%d", request->number,
						  (long long) standin_now(),
						  answer->manner == MANNER_CLOSE ? 0 : answer->status);
	if (request->fault != NULL)
		standin_buffer_printf(&ledger->lines, ",\"fault\":\"%s\"", request->fault);
	standin_buffer_puts(&ledger->lines, "}\n");
}

void
standin_ledger_end(Ledger *ledger, const Request *request, bool complete)
{
	if (ledger->fd < 0)
		return;
	standin_buffer_printf(&ledger->lines, "{\"line\":\"end\",\"request\":%ld,"
						  "\"ms\":%lld,\"complete\":%s}\n", request->number,
						  (long long) standin_now(), complete ? "true" : "false");
}

void
standin_ledger_mark(Ledger *ledger, const char *text, long connection)
{
	if (ledger->fd < 0)
		return;
	standin_buffer_printf(&ledger->lines, "{\"line\":\"mark\",\"connection\":%ld,"
						  "\"ms\":%lld,\"text\":", connection,
						  (long long) standin_now());
	standin_buffer_quote(&ledger->lines, text);
	standin_buffer_puts(&ledger->lines, "}\n");
}
