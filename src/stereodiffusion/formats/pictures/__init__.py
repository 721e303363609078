"""Pictures: files, Pillow images, tensors.

image        reading and writing                            raster     decoded levels made a tensor
colour       colour profiles                                declared   colours declared otherwise
containers   kinds of files                                 orientation
png   jpeg   tiff                                           metadata   settings inside picture files
"""
