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

/* sets up fcinfo->resultinfo's setResult and setDesc; 15 has a function for it */
extern void braze_materialize(FunctionCallInfo fcinfo);

#endif							/* BRAZE_SRF_H */
