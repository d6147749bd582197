/*-------------------------------------------------------------------------
 *
 * faults.h
 *	  What goes wrong on purpose, and when.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STANDIN_FAULTS_H
#define STANDIN_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

#include <json-c/json.h>

#include "buffer.h"

struct Item;
struct Request;

typedef enum FaultKind
{
	FAULT_STATUS,
	FAULT_REFUSE,				/* 400 that names no object */
	FAULT_ERRORS,				/* single objects are refused */
	FAULT_SLOW,
	FAULT_HOLD,					/* until released */
	FAULT_NEVER,				/* no answer, ever */
	FAULT_CLOSE,				/* without an answer */
	FAULT_CUT,					/* in the middle of the answer */
	FAULT_HUGE,
	FAULT_BROKEN_JSON,
	FAULT_INVALID_UTF8,
	FAULT_EMPTY,
	FAULT_NOT_JSON
} FaultKind;

typedef struct Fault
{
	int			id;
	FaultKind	kind;
	long		status;			/* 0: that of the kind */
	long		count;			/* left; -1: until cleared */
	long		after;			/* matching requests that pass first */
	double		probability;
	long		seed;
	uint64_t	random;			/* the generator's state, which begins as seed */
	bool		applied;		/* is the request applied before it fails? */
	long		delay;			/* ms before the answer */
	long		bytes;
	char	   *path;			/* conditions; NULL: any */
	char	   *user;
	char	   *name;
	char	   *array;
	char	   *body;
	char	   *reason;
	json_object *headers;
	long		hits;
	struct Fault *next;
} Fault;

typedef struct Faults
{
	Fault	   *first;			/* in the order in which they were set */
	int			last_id;
} Faults;

extern const char *standin_fault_name(FaultKind kind);

/* NULL with a reason when the parameters make no sense */
extern Fault *standin_faults_add(Faults *faults, json_object *parameters,
								 char *reason, size_t size);
extern void standin_faults_clear(Faults *faults);
extern bool standin_faults_remove(Faults *faults, int id);
extern void standin_faults_remove_kind(Faults *faults, FaultKind kind);
extern void standin_faults_print(const Faults *faults, Buffer *out);

/* the fault that strikes this request, NULL if none; counts it */
extern Fault *standin_faults_pick(Faults *faults, const struct Request *request);

/* why this object is refused on purpose, NULL if it is not */
extern const char *standin_faults_object(Faults *faults, const struct Request *request,
										 const struct Item *item);

#endif							/* STANDIN_FAULTS_H */
