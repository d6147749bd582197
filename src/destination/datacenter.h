/*-------------------------------------------------------------------------
 *
 * datacenter.h
 *	  Braze's instances, and the endpoints of each.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_DATACENTER_H
#define BRAZE_DATACENTER_H

/* "US-01, US-02, ..." */
extern char *braze_datacenter_names(void);

/*
 * These write the URL of a REST endpoint, or of an SDK endpoint, into result.
 * They return NULL, or a sentence that says which values are valid.
 */
extern const char *braze_datacenter_parse(const char *value, char **result);
extern const char *braze_datacenter_parse_endpoint(const char *value, char **result);
extern const char *braze_datacenter_parse_sdk_endpoint(const char *value, char **result);

/*
 * where the SDKs of the workspace send to;
 * NULL: the REST endpoint does not tell
 */
extern char *braze_datacenter_sdk_endpoint(const char *endpoint);

#endif							/* BRAZE_DATACENTER_H */
