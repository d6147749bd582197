/*-------------------------------------------------------------------------
 *
 * srf.h
 *	  Functions that return a set as a tuplestore.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_SRF_H
#define BRAZE_SRF_H

#include "fmgr.h"

/*
 * Sets up fcinfo->resultinfo's setResult and setDesc; 15 has a function for it.
 * An older install script may declare fewer columns than we would put.
 */
extern void braze_srf_materialize(FunctionCallInfo fcinfo, int columns);

#endif							/* BRAZE_SRF_H */
