/*-------------------------------------------------------------------------
 *
 * body.c
 *	  Writing the body of a request.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "pack.h"
#include "pack_internal.h"

static char *
append(char *to, const char *from, size_t length)
{
	memcpy(to, from, length);
	return to + length;
}

/* writes what is still pending of the range under way */
bool
braze_request_write(BrazeRequest *request)
{
	Range		range = request->ranges[request->nranges - 1];
	size_t		size = BRAZE_BODY_OVERHEAD;
	char	   *to;

	memset(&request->sent, 0, sizeof(request->sent));
	request->sent.endpoint = request->endpoint;
	for (int i = range.low; i < range.high; i++)
	{
		const PackedObject *object = braze_object_at(request, i);

		if (object->state != OBJECT_PENDING)
			continue;
		request->sent.counts[object->kind]++;
		size += object->length + 1;
	}

	free(request->body);
	request->body = to = malloc(size);
	if (to == NULL)
		return false;
	request->norder = 0;
	to = append(to, "{", 1);
	for (int kind = 0; kind < BRAZE_KINDS; kind++)
	{
		const char *array = braze_kinds[kind].array;

		request->first_of_kind[kind] = request->norder;
		if (request->sent.counts[kind] == 0)
			continue;
		if (request->norder > 0)
			to = append(to, ",", 1);
		to = append(to, "\"", 1);
		to = append(to, array, strlen(array));
		to = append(to, "\":[", 3);
		for (int i = range.low; i < range.high; i++)
		{
			const PackedObject *object = braze_object_at(request, i);

			if (object->kind != kind || object->state != OBJECT_PENDING)
				continue;
			if (request->norder > request->first_of_kind[kind])
				to = append(to, ",", 1);
			to = append(to, request->objects[i].call->text + object->offset,
						object->length);
			request->order[request->norder++] = i;
		}
		to = append(to, "]", 1);
	}
	to = append(to, "}", 1);
	request->body_length = to - request->body;
	return true;
}
