##! Header fields that tell MCP, in http.log. Of traffic in the clear, or that something before Zeek
##! decrypts. Goes to the folder site, with "@load ./shadowtap" in local.zeek.
##!
##!   shadowtap logs http.log ssl.log dns.log
##!
##! It adds no Authorization, no Cookie and no bodies; keep it so.

@load base/protocols/http

module Shadowtap;

export {
    ## Request fields, and their columns in http.log.
    redef record HTTP::Info += {
        accept: string &log &optional;
        content_type: string &log &optional;
        mcp_session_id: string &log &optional;
        mcp_protocol_version: string &log &optional;
        mcp_method: string &log &optional;
        mcp_name: string &log &optional;
        resp_content_type: string &log &optional;
        resp_mcp_session_id: string &log &optional;
        www_authenticate: string &log &optional;
        location: string &log &optional;
    };
}

event http_header(c: connection, is_orig: bool, name: string, value: string) &priority=3
    {
    if ( ! c?$http )
        return;

    if ( is_orig )
        {
        switch ( name )
            {
            case "ACCEPT": c$http$accept = value; break;
            case "CONTENT-TYPE": c$http$content_type = value; break;
            case "MCP-SESSION-ID": c$http$mcp_session_id = value; break;
            case "MCP-PROTOCOL-VERSION": c$http$mcp_protocol_version = value; break;
            case "MCP-METHOD": c$http$mcp_method = value; break;
            case "MCP-NAME": c$http$mcp_name = value; break;
            }
        }
    else
        {
        switch ( name )
            {
            case "CONTENT-TYPE": c$http$resp_content_type = value; break;
            case "MCP-SESSION-ID": c$http$resp_mcp_session_id = value; break;
            case "WWW-AUTHENTICATE": c$http$www_authenticate = value; break;
            case "LOCATION": c$http$location = value; break;
            }
        }
    }
