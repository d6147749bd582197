/*-------------------------------------------------------------------------
 *
 * settle_call.h
 *	  Settling one call that is done, with all that Braze has said of it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_SETTLE_CALL_H
#define BRAZE_SETTLE_CALL_H

#include "pack/pack.h"
#include "store/settler.h"

extern BrazeSettleRow braze_settle_call_row_of(const BrazeCall *call);

/* in a transaction; BRAZE_SETTLE_LATER: somebody has locked what it needs */
extern BrazeSettled braze_settle_call_try(BrazeSettler *settler, const BrazeCall *call);

#endif							/* BRAZE_SETTLE_CALL_H */
